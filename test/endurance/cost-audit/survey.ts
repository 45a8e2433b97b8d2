/** Records predictions with large inputs, and finds the objects that requests name. */
import { randomFillSync } from 'node:crypto';
import sharp from 'sharp';
import { type Data, post } from '../../support/graphql-client.ts';
import type { StoredPrediction, Subject } from './predictions.ts';
import type { Names } from './values.ts';

const SURVEY = `{
  models(first: 100) { nodes { id name version { id ref state signature { example inputs { name datatype shape } } evaluations { nodes { id } } } } }
  datasets(first: 100) { nodes { id name } }
  predictions(first: 100) { nodes { id } }
}`;
const PREDICT =
  'mutation ($input: PredictInput!) { predict(input: $input) { prediction { id output { __typename } } problem { message } } }';

export async function survey(url: string): Promise<{ names: Names; subjects: Subject[]; stored: StoredPrediction[] }> {
  const { models } = (await post(url, SURVEY)).data;
  const ready = models.nodes.filter(({ version }: Data) => version?.state === 'READY');
  if (ready.length < models.nodes.length) throw new Error('not every model of the audit is READY');
  const stored = await recordLargePredictions(url);
  const subjects: Subject[] = [];
  for (const { name, version } of ready) {
    const { predict } = (await post(url, PREDICT, { input: { model: name, input: version.signature.example } })).data;
    if (predict.prediction)
      subjects.push({ model: name, ...version.signature, output: predict.prediction.output.__typename });
  }
  const { data } = await post(url, SURVEY);
  const idsOf = (nodes: Data[]) => nodes.map(({ id }) => id);
  const names: Names = {
    model: 'spam-filter',
    version: 'spam-filter',
    dataset: data.datasets.nodes[0]?.name,
    metric: 'accuracy',
    ids: {
      Prediction: [...idsOf(stored), ...idsOf(data.predictions.nodes)],
      Model: idsOf(ready),
      Version: ready.map(({ version }: Data) => version.id),
      Dataset: idsOf(data.datasets.nodes),
      Evaluation: ready.flatMap(({ version }: Data) => idsOf(version.evaluations.nodes)),
    },
  };
  return { names, subjects, stored };
}

/** A photo of several megabytes, texts of the maximum length, and tensors. */
async function recordLargePredictions(url: string): Promise<StoredPrediction[]> {
  const [width, height] = [1_600, 1_600];
  const noise = sharp(randomFillSync(Buffer.alloc(width * height * 3)), { raw: { width, height, channels: 3 } });
  const photo = (await noise.png().toBuffer()).toString('base64');
  const values = Array.from({ length: 100_000 }, (_, i) => i / 7);
  const inputs: readonly [string, unknown][] = [
    ['fashion-cnn', { image: { base64: photo } }],
    ['tiny-ner', { text: 'paris '.repeat(16_666) }],
    ['echo-fp32', { tensors: [{ name: 'x', datatype: 'FP32', shape: [1, values.length], data: values }] }],
    ['fashion-cnn', { image: { base64: photo } }],
  ];
  const stored: StoredPrediction[] = [];
  for (const [model, input] of inputs) {
    const { data, errors } = await post(url, PREDICT, { input: { model, input } });
    if (!data?.predict?.prediction) throw new Error(`${model}: ${JSON.stringify(errors ?? data).slice(0, 300)}`);
    const { id, output } = data.predict.prediction;
    stored.push({ id, model, output: output.__typename });
  }
  return stored;
}
