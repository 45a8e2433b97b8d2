/** The menu of example operations, in groups. An example opens in a tab of its own, or in the one that has it already. */
import { ChevronDownIcon, DropdownMenu, useGraphiQL, useGraphiQLActions } from '@graphiql/react';

export function Examples({ operations }) {
  const open = useOpenExample();
  const groups = Map.groupBy(operations, ({ group }) => group);
  return (
    <DropdownMenu modal={false}>
      <DropdownMenu.Button className="examples-button">
        Examples <ChevronDownIcon aria-hidden="true" />
      </DropdownMenu.Button>
      <DropdownMenu.Content className="examples" align="end">
        {[...groups].map(([group, members]) => (
          // biome-ignore lint/a11y/useSemanticElements: a fieldset has no place in a menu
          <div role="group" aria-label={group} key={group}>
            <div className="examples-group" aria-hidden="true">
              {group}
            </div>
            {members.map((operation) => (
              <DropdownMenu.Item key={operation.title} textValue={operation.title} onSelect={() => open(operation)}>
                <span className="examples-title">{operation.title}</span>
                <span className="examples-summary">{operation.summary}</span>
              </DropdownMenu.Item>
            ))}
          </div>
        ))}
      </DropdownMenu.Content>
    </DropdownMenu>
  );
}

function useOpenExample() {
  const { addTab, changeTab } = useGraphiQLActions();
  const editors = useGraphiQL(({ tabs, queryEditor, variableEditor }) => ({ tabs, queryEditor, variableEditor }));
  return ({ query, variables }) => {
    const { tabs, queryEditor, variableEditor } = editors;
    const index = tabs.findIndex((tab) => tab.query === query);
    if (index >= 0) {
      changeTab(index);
      return;
    }
    addTab();
    queryEditor.setValue(query);
    variableEditor.setValue(variables);
  };
}
