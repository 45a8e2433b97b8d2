/**
 * The built-in explorer: GraphiQL, everything from this server, its first tabs filled with the example operations.
 *
 * Tabs of one's own are kept in the browser, as GraphiQL does.
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
    body: JSON.stringify(ofItsOwnDocument(request)),
  });
  return response.json();
}

/** For a tenth of a second after a tab was opened GraphiQL still has the operation's name of the tab before. */
function ofItsOwnDocument({ operationName, ...request }) {
  const isItsName = new RegExp(`\\b(query|mutation)\\s+${operationName}\\b`).test(request.query);
  return isItsName ? { ...request, operationName } : request;
}

/** GraphiQL gives the first of the default tabs its query but not its variables. */
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
