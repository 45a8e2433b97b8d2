/** What the import refuses, and the words in which it says so: each names the file, key or export option to change. */
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { ALL_REFUSED } from './refused-folders.js';

/** What a reason must name: a file of the owner, a key of one, or how to export. */
const NAMED =
  /model\.yaml|README\.md|golden\.json|config\.json|tokenizer\.json|modules\.json|model\.onnx|the ONNX file|\bexport\b/;

let store: TestStore;
let app: TestApp;
const reasons = new Map<string, string>();
beforeAll(async () => {
  store = await createStore();
  for (const { name, files } of ALL_REFUSED) await store.write(name, files);
  app = await startTestApp({ modelStore: store.folder });
  const { models } = await app.query(
    '{ models(first: 100) { nodes { name versions { nodes { state stateReason } } } } }',
  );
  for (const { name, versions } of models.nodes as Data[])
    reasons.set(name, versions.nodes[0]?.stateReason ?? versions.nodes[0]?.state);
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

test.each(ALL_REFUSED)('$name is refused with what to change', ({ name, reason }) => {
  if (typeof reason === 'string') expect(reasons.get(name)).toBe(reason);
  else expect(reasons.get(name)).toMatch(reason);
  expect(reasons.get(name)).toMatch(NAMED);
});
