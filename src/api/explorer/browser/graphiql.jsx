/**
 * The built-in explorer: GraphiQL, served entirely by this server. It opens the operation in its address; else what it had in
 * its tabs, which GraphiQL keeps in the browser's local storage; on a first visit, the first example.
 */
import 'graphiql/style.css';
import './explorer.css';
import { ToolbarButton, useGraphiQL } from '@graphiql/react';
import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';
import { Examples } from './examples.jsx';
import { fragmentOf, operationInUrl } from './operation-in-url.js';

const WORKERS = { json: 'json', graphql: 'graphql' };
/** What the editor of variables accepts as a scalar of the schema. It knows only those of GraphQL itself. */
const SCALARS = {
  JSON: { type: ['object', 'array', 'string', 'number', 'boolean'] },
  JSONObject: { type: 'object' },
  ModelInputValue: { type: 'object' },
  FloatList: { type: 'array', items: { type: 'number' } },
};

globalThis.MonacoEnvironment = {
  getWorker: (_id, label) => new Worker(`/graphiql/assets/${WORKERS[label] ?? 'editor'}.worker.js`),
};

async function fetcher(request, options) {
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json, application/json',
      ...options?.headers,
    },
    body: JSON.stringify(dropStaleOperationName(request)),
  });
  return response.json();
}

/**
 * Drops an operation name that is not in the document: for about 100 ms after a tab is opened, GraphiQL still sends the
 * name from the previous tab.
 */
function dropStaleOperationName({ operationName, ...request }) {
  const isInDocument = new RegExp(`\\b(query|mutation)\\s+${operationName}\\b`).test(request.query);
  return isInDocument ? { ...request, operationName } : request;
}

/** Puts a link to the operation into the address bar, and on the clipboard, which only secure pages may write to. */
function CopyLink() {
  const editors = useGraphiQL(({ queryEditor, variableEditor }) => ({ queryEditor, variableEditor }));
  const copy = () => {
    const { queryEditor, variableEditor } = editors;
    const operation = { query: queryEditor.getValue(), variables: variableEditor.getValue() };
    history.replaceState(null, '', `/graphiql${fragmentOf(operation)}`);
    navigator.clipboard?.writeText(location.href).catch(() => {});
  };
  return (
    <ToolbarButton label="Copy a link to this operation" onClick={copy}>
      <svg className="graphiql-toolbar-icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" aria-hidden="true">
        <path d="M10 14a5 5 0 0 0 7 0l3-3a5 5 0 0 0-7-7l-1 1M14 10a5 5 0 0 0-7 0l-3 3a5 5 0 0 0 7 7l1-1" />
      </svg>
    </ToolbarButton>
  );
}

async function render() {
  const response = await fetch('/graphiql/operations.json');
  const operations = (await response.json()).map(({ variables, ...operation }) => ({
    ...operation,
    variables: JSON.stringify(variables, null, 2),
  }));
  const shared = operationInUrl(location);
  // GraphiQL fills in the query of the first default tab, but not its variables.
  const isFirstVisit = localStorage.getItem('graphiql:tabState') === null;
  const opened = shared ?? (isFirstVisit ? operations[0] : undefined);
  createRoot(document.getElementById('explorer')).render(
    <GraphiQL
      fetcher={fetcher}
      defaultTabs={opened && [{ query: opened.query, variables: opened.variables }]}
      initialQuery={shared?.query}
      initialVariables={opened?.variables}
      defaultEditorToolsVisibility
      shouldPersistHeaders={false}
      customScalarSchemas={SCALARS}
    >
      <GraphiQL.Logo>
        <Examples operations={operations} />
        <a className="brand" href="/graphql">
          Modelgraph
        </a>
      </GraphiQL.Logo>
      <GraphiQL.Toolbar>
        {({ prettify, merge, copy }) => (
          <>
            {prettify}
            {merge}
            {copy}
            <CopyLink />
          </>
        )}
      </GraphiQL.Toolbar>
    </GraphiQL>,
  );
}

render();
