/**
 * The built-in explorer: GraphiQL, served entirely by this server. On the first visit it has a tab for each example
 * operation; after that, GraphiQL restores the tabs from the browser's local storage.
 */
import 'graphiql/style.css';
import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';

const WORKERS = { json: 'json', graphql: 'graphql' };

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

/** Variables of the first tab on a first visit: GraphiQL fills in the query of the first default tab, but not these. */
function initialVariables(tabs) {
  const isFirstVisit = localStorage.getItem('graphiql:tabState') === null;
  return isFirstVisit ? tabs[0]?.variables : undefined;
}

async function render() {
  const response = await fetch('/graphiql/operations.json');
  const operations = await response.json();
  const tabs = operations.map(({ query, variables }) => ({ query, variables: JSON.stringify(variables, null, 2) }));
  createRoot(document.getElementById('explorer')).render(
    <GraphiQL
      fetcher={fetcher}
      defaultTabs={tabs}
      initialVariables={initialVariables(tabs)}
      shouldPersistHeaders={false}
    >
      <GraphiQL.Logo>
        <a className="brand" href="/graphql">
          Modelgraph
        </a>
      </GraphiQL.Logo>
    </GraphiQL>,
  );
}

render();
