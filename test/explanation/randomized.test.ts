/**
 * Whether a heat map is about the weights of the model, and not only about the image (Adebayo et al., "Sanity Checks for Saliency Maps",
 * 2018): it changes when the last layers have random weights.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { PbfReader } from 'pbf';
import { sampleOf } from '#src/statistics/metric-set.js';
import { Xoshiro128 } from '#src/statistics/random.js';
import { spearmanOf } from '#src/statistics/ranks.js';
import { type Data, STORE, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';

const MODEL = path.join(STORE, 'fashion-cnn');
const IMAGES = path.join(STORE, 'datasets', 'fashion-mnist-test', 'data.jsonl.gz');
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { problem { message }
  prediction { explanation(budgetMs: 30000) { problem { message } explanation { method heatMap { values } } } } } }`;

/** From the output: the weights and the bias of the classes, then those of the layer below. */
const LAYERS = [
  ['0.9.weight', '0.9.bias'],
  ['0.7.weight', '0.7.bias'],
];
const IMAGE_COUNT = 4;

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  const graph = await readFile(path.join(MODEL, '1', 'model.onnx'));
  const manifest = await readFile(path.join(MODEL, 'model.yaml'), 'utf8');
  await store.write('fashion-cnn', {
    'model.yaml': manifest.replace(/^testData:.*\n/m, ''),
    '1/model.onnx': graph,
    '2/model.onnx': withRandomWeights(graph, LAYERS[0] as string[]),
    '3/model.onnx': withRandomWeights(graph, LAYERS.flat()),
  });
  app = await startTestApp({ modelStore: store.folder });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

/** A copy in which the values of these weights are shuffled, so that they keep their distribution. */
function withRandomWeights(graph: Buffer, names: readonly string[]): Buffer {
  const copy = Buffer.from(graph);
  const found = new Set<string>();
  new PbfReader(copy).readFields((field, _, file) => {
    if (field !== 7) return;
    // The graph, and its weights.
    new PbfReader(file.readBytes()).readFields((part, _, reader) => {
      if (part !== 5) return;
      const tensor = reader.readBytes();
      let name = '';
      let data: Uint8Array = new Uint8Array();
      new PbfReader(tensor).readFields((key, _, bytes) => {
        if (key === 8) name = bytes.readString();
        else if (key === 9) data = bytes.readBytes();
      }, null);
      if (!names.includes(name)) return;
      found.add(name);
      shuffle(data, name);
    }, null);
  }, null);
  expect([...found].sort()).toEqual([...names].sort());
  return copy;
}

/** In place. */
function shuffle(data: Uint8Array, seed: string): void {
  const values = data.slice();
  const order = Xoshiro128.seeded(seed).permutation(data.length / 4);
  for (const [to, from] of order.entries()) data.set(values.subarray(4 * from, 4 * from + 4), 4 * to);
}

async function heatMapOf(ref: string, base64: string): Promise<number[]> {
  const { predict }: Data = await app.query(PREDICT, { input: { model: ref, input: { image: { base64 } } } });
  const { explanation, problem } = predict.prediction.explanation;
  expect([predict.problem, problem, explanation.method]).toEqual([null, null, 'OCCLUSION']);
  return explanation.heatMap.values;
}

function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  return spearmanOf(Float64Array.from(a), Float64Array.from(b))(sampleOf(a.length)) as number;
}

test('the heat map of a model is always the same, and another one with random weights in its last layers', async () => {
  const lines = gunzipSync(await readFile(IMAGES))
    .toString()
    .split('\n')
    .slice(0, IMAGE_COUNT);
  const images: string[] = lines.map((line) => JSON.parse(line).image.split(',').at(-1));
  const correlations: number[][] = [[], []];
  for (const image of images) {
    const [original, again, ...randomized] = await Promise.all(
      [1, 1, 2, 3].map((version) => heatMapOf(`fashion-cnn:${version}`, image)),
    );
    expect(again).toEqual(original);
    for (const [i, values] of randomized.entries())
      correlations[i]?.push(rankCorrelation(original as number[], values));
  }

  for (const of of correlations) {
    const mean = of.reduce((sum, one) => sum + Math.abs(one), 0) / IMAGE_COUNT;
    expect(mean).toBeLessThan(0.5);
  }
});
