/**
 * Apollo Sandbox, from its CDN, with the example operations and the operation in the address. Leaves for the built-in explorer,
 * with the same operation, if the CDN does not respond within three seconds.
 */
import { fragmentOf, operationInUrl } from './operation-in-url.js';

const PATIENCE_MS = 3000;
const FIRST = { query: '{ models { nodes { name title summary version { ref } } } }' };

const shared = operationInUrl(location);
const builtIn = document.getElementById('built-in');
const examples = document.getElementById('examples');
let sandbox = null;

function show(operation) {
  sandbox?.dispose();
  builtIn.href = `/graphiql${fragmentOf(operation)}`;
  sandbox = new globalThis.EmbeddedSandbox({
    target: '#sandbox',
    initialEndpoint: `${location.origin}/graphql`,
    includeCookies: false,
    runTelemetry: false,
    initialState: { document: operation.query, variables: parsed(operation.variables) },
  });
}

/** Sandbox takes variables as an object. */
function parsed(variables) {
  try {
    return variables ? JSON.parse(variables) : undefined;
  } catch {
    return undefined;
  }
}

async function offerExamples() {
  const operations = await (await fetch('/graphiql/operations.json')).json();
  for (const [group, members] of Map.groupBy(operations, (operation) => operation.group)) {
    const list = document.createElement('optgroup');
    list.label = group;
    list.append(...members.map(({ title, name }) => new Option(title, name)));
    examples.append(list);
  }
  examples.disabled = false;
  examples.addEventListener('change', () => {
    const { query, variables } = operations.find(({ name }) => name === examples.value);
    show({ query, variables: JSON.stringify(variables, null, 2) });
  });
}

const leave = () => location.replace(`/graphiql${shared ? fragmentOf(shared) : ''}`);
const patience = setTimeout(leave, PATIENCE_MS);
const script = document.createElement('script');
script.onerror = leave;
script.onload = () => {
  clearTimeout(patience);
  document.getElementById('waiting').remove();
  show(shared ?? FIRST);
  offerExamples();
};
script.src = document.getElementById('sandbox').dataset.script;
document.head.append(script);
