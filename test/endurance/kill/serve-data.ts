/**
 * Serves a data folder and changes it by requests without end: uploads, publications, predictions, erasures and deletions.
 * Writes a line for each that was acknowledged. `node test/endurance/kill/serve-data.ts <data folder> <seed>`
 */
import 'reflect-metadata';
import { createHash } from 'node:crypto';
import { pino } from 'pino';
import { startApp } from '#src/app.js';
import { loadConfig } from '#src/config.js';
import { type Data, post } from '../../support/graphql-client.ts';
import { encodeModel, identity } from '../../support/onnx.ts';
import { below, pick, seeded } from '../../support/seeded-random.ts';

const [dataDir = '', seed = '1'] = process.argv.slice(2);
const random = seeded(Number(seed));
const settings = { port: 0, workers: 1, executionProviders: ['cpu'] as const, measureLatency: false };
const config = { ...loadConfig({}), ...settings, dataDir, modelStore: '/nowhere' };
const { url } = await startApp(config, pino({ level: 'silent' }));

/** Returns the payload of a mutation. @throws Error if it has a problem */
async function change(query: string, variables: object = {}): Promise<Data> {
  const { data, errors } = await post(url, query, { ...variables });
  const payload = Object.values<Data>(data ?? {})[0];
  if (!payload || payload.problem) throw new Error(JSON.stringify({ query, errors, payload }));
  return payload;
}

const CREATE =
  'mutation ($input: CreateUploadInput!) { createUpload(input: $input) { upload { id url } problem { message } } }';
const COMPLETE = 'mutation ($id: ID!) { completeUpload(id: $id) { upload { id } problem { message } } }';

/** In two parts, the second one from where the server says that the first one has ended. */
async function upload(bytes: Buffer): Promise<{ upload: string; sha256: string }> {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const created = await change(CREATE, { input: { fileName: 'file', sizeBytes: bytes.length, sha256 } });
  const { id, url: target } = created.upload;
  if (target !== null) {
    await send(target, bytes.subarray(0, below(random, bytes.length)), 0);
    const { headers } = await fetch(`${url}${target}`, { method: 'HEAD' });
    const offset = Number(headers.get('upload-offset'));
    if (offset < bytes.length) await send(target, bytes.subarray(offset), offset);
    await change(COMPLETE, { id });
  }
  return { upload: id, sha256 };
}

async function send(target: string, bytes: Buffer, offset: number): Promise<void> {
  const headers = { 'content-type': 'application/offset+octet-stream', 'upload-offset': String(offset) };
  const response = await fetch(`${url}${target}`, { method: 'PATCH', headers, body: new Uint8Array(bytes) });
  await response.arrayBuffer();
}

const models: string[] = [];

async function publish(reason: string): Promise<object> {
  const model = `p-${reason}`;
  await change('mutation ($input: RegisterModelInput!) { registerModel(input: $input) { problem { message } } }', {
    input: { name: model, task: 'TENSOR' },
  });
  models.push(model);
  const file = await upload(encodeModel(identity(`x${reason}`, 'FP32', ['N'])));
  const { publication } = await change(
    'mutation ($input: PublishInput!) { publish(input: $input) { publication { id } problem { message } } }',
    { input: { model, files: [{ path: '1/model.onnx', upload: file.upload }] } },
  );
  for (let stage = ''; !['PUBLISHED', 'REFUSED'].includes(stage); )
    ({ stage } = (
      await post(url, 'query ($id: ID!) { publication(id: $id) { stage } }', { id: publication.id })
    ).data.publication);
  return { publication: publication.id, model };
}

const PREDICT = 'mutation ($input: PredictInput!) { predict(input: $input) { prediction { id } problem { message } } }';
const ERASE =
  'mutation ($input: ErasePredictionsInput!) { erasePredictions(input: $input) { erasure { finishedAt } problem { message } } }';

async function predictAndErase(reason: string): Promise<object> {
  const model = models.at(-1);
  if (!model) return {};
  const tensors = [{ name: `x${model.slice(2)}`, datatype: 'FP32', shape: [2], data: [1, 2] }];
  const made = async (subject: string) =>
    (await change(PREDICT, { input: { model, input: { tensors }, subject } })).prediction.id as string;
  const [kept, erased] = [await made('kept'), await made(reason)];
  await change(ERASE, { input: { account: 'anonymous', subject: reason } });
  return { kept, model, erased };
}

async function deleteModel(): Promise<object> {
  const model = models.shift();
  if (!model) return {};
  const { deletedId } = await change(
    'mutation ($input: DeleteModelInput!) { deleteModel(input: $input) { deletedId problem { message } } }',
    { input: { model } },
  );
  return { deleted: deletedId, model };
}

/** What each has made or removed. To add an operation, add a line, and what must hold of it to `verifyRequests`. */
const CHANGES: Readonly<Record<string, (reason: string) => Promise<object>>> = {
  upload: (reason) => upload(Buffer.from(reason.repeat(1 + below(random, 20_000)))),
  publish,
  predictAndErase,
  deleteModel,
};

for (let i = 0; ; i++) {
  const done = await CHANGES[i === 0 ? 'publish' : pick(random, Object.keys(CHANGES))]?.(`${seed}-${i}`);
  process.stdout.write(`${JSON.stringify(done)}\n`);
}
