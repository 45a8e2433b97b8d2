/** The model card of a version says what the service knows of it, in the format of the Hugging Face Hub. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type ModelManifest, readModelManifest } from '#src/importing/manifest.js';
import { type Data, STORE, startTestApp, type TestApp } from '../support/app.js';

const CARDS = '{ models(first: 20) { nodes { name version { modelCard } } } }';

let app: TestApp;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-cards-'));
  app = await startTestApp();
});
afterAll(async () => {
  await app.stop();
  await rm(folder, { recursive: true, force: true });
});

/** What a card states, in an order that does not matter. */
function statedBy({ card, license, tags, trainedOn, results, yaml }: ModelManifest) {
  const ofMetric = ({ type, value, args }: ModelManifest['results'][number]['metrics'][number]) =>
    JSON.stringify([type, value, args?.average ?? null, args?.label ?? null]);
  const byDataset = results.map(({ dataset, metrics }) => [dataset.type, metrics.map(ofMetric).sort()] as const);
  return {
    markdown: card.markdown,
    license,
    tags: tags.toSorted(),
    trainedOn: trainedOn.toSorted(),
    results: byDataset.sort(([a], [b]) => a.localeCompare(b)),
    task: yaml.task,
  };
}

test('the card of each model states what the card in the model store does, and can be imported', async () => {
  const { models } = await app.query(CARDS);

  expect(models.nodes.length).toBeGreaterThan(5);
  for (const { name, version } of models.nodes as Data[]) {
    const copy = path.join(folder, name);
    await mkdir(copy);
    await writeFile(path.join(copy, 'README.md'), version.modelCard);

    const exported = statedBy(await readModelManifest(copy));
    const stored = statedBy(await readModelManifest(path.join(STORE, name)));
    expect(exported).toEqual(stored);
    expect(exported.results.length).toBeGreaterThan(0);
  }
});

test('a card names each dataset with its digest, and its metrics for readers', async () => {
  const { model } = await app.query(
    '{ model(name: "spam-filter") { version { modelCard evaluation { dataset { name sha256 } } } } }',
  );
  const { modelCard, evaluation } = model.version;

  expect(modelCard).toContain('pipeline_tag: text-classification\n');
  expect(modelCard).toContain(`type: ${evaluation.dataset.name}\n`);
  expect(modelCard).toContain(`revision: ${evaluation.dataset.sha256}\n`);
  expect(modelCard).toContain('name: F1 (macro)\n');
  expect(modelCard).not.toContain('verified');
});
