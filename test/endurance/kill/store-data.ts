/**
 * Uploads to a data folder without end, or records predictions there, with their outcomes, or erases them, with the parts of the server but without its workers
 * and HTTP, so that a kill takes little time. Writes a line for each change that was acknowledged.
 * `node test/endurance/kill/store-data.ts <data folder> <seed> <uploads|erasures|outcomes>`
 */
import 'reflect-metadata';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { COMMAND_LINE } from '#src/access/principal.js';
import { CatalogLoaders } from '#src/catalog/loaders.js';
import { Erasures } from '#src/prediction/erasures.js';
import { PredictionLoaders } from '#src/prediction/loaders.js';
import { predictionOf } from '#src/prediction/new-prediction.js';
import { Outcomes } from '#src/prediction/outcomes.js';
import { RecordedPredictions } from '#src/prediction/recorded.js';
import { Recorder } from '#src/prediction/recorder.js';
import { Uploads } from '#src/publishing/uploads.js';
import { openDatabases } from '#src/storage/database.js';
import { sweeperParts } from '../../support/sealed-data.ts';
import { below, pick, seeded } from '../../support/seeded-random.ts';

const [dataDir = '', seed = '1', wanted = 'uploads'] = process.argv.slice(2);
const random = seeded(Number(seed));
const databases = await openDatabases(dataDir);
const parts = await sweeperParts(databases, dataDir);
const { log, catalogDb, predictionDb, blobs, commits, dataKeys } = parts;

async function makeUploads(): Promise<() => Promise<object>> {
  const folder = path.join(dataDir, 'uploads');
  const uploads = new Uploads({ db: catalogDb, folder, log, isKeyAccepted: () => true });
  await uploads.start();
  return async () => {
    const bytes = Buffer.from(`${seed} ${random()} `.repeat(1 + below(random, 20_000)));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const upload = await uploads.create({ fileName: 'file', sizeBytes: bytes.length, sha256 }, COMMAND_LINE);
    const middle = below(random, bytes.length);
    for (const [from, to] of [
      [0, middle],
      [middle, bytes.length],
    ] as const)
      await uploads.receive(upload, from, chunksOf(bytes.subarray(from, to)));
    await uploads.complete(upload.id, COMMAND_LINE);
    return { upload: upload.id, sha256 };
  };
}

const CHUNK_BYTES = 65_536;

async function* chunksOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}

const ACCOUNT = 'team';
const OWNER = { ...COMMAND_LINE, id: ACCOUNT };
/** The second one does not fit into a row. */
const CHARACTERS = [20, 20_000];

async function openRecorder(): Promise<(subject: string) => Promise<string>> {
  await blobs.open();
  const recorder = new Recorder({ db: predictionDb, commits, blobs, dataKeys });
  const { id: versionId } = await catalogDb.selectFrom('version').select('id').executeTakeFirstOrThrow();
  return async (subject) => {
    const input = { text: 'x'.repeat(pick(random, CHARACTERS)) };
    const version = { versionId, variant: 'default', engineVersion: { artifactSha256: '', spec: { labels: [] } } };
    const outcome = { timing: {}, batchSize: 1, executionProvider: 'cpu', device: null, dispatchedAt: 0 };
    const made = { version, record: true, startedAt: 0, input } as never;
    const prediction = predictionOf(made, { kind: 'regression', value: 1 } as never, outcome as never);
    await recorder.record({ principal: OWNER, subject }, prediction, null);
    return prediction.id;
  };
}

async function makeErasures(): Promise<() => Promise<object>> {
  const record = await openRecorder();
  const erasures = new Erasures(parts);
  await erasures.resume();
  let count = 0;
  return async () => {
    const subject = `${seed}-${count++}`;
    const [kept, erased] = [await record('kept'), await record(subject)];
    const all = { keyId: null, from: null, to: null, predictions: null };
    const by = { principal: COMMAND_LINE, action: 'erasePredictions', reason: subject } as const;
    await erasures.erase({ account: ACCOUNT, subject, ...all }, by);
    return { kept, erased };
  };
}

/** Two outcomes of one prediction, and one of a prediction that is erased meanwhile. */
async function makeOutcomes(): Promise<() => Promise<object>> {
  const record = await openRecorder();
  const erasures = new Erasures(parts);
  await erasures.resume();
  const recorded = new RecordedPredictions({ blobs, images: null as never });
  const outcomes = new Outcomes({ db: predictionDb, commits, dataKeys, recorded });
  const outcomeOf = (prediction: string, value: number) => {
    const catalogLoaders = new CatalogLoaders(catalogDb, catalogDb, OWNER);
    const predictionLoaders = new PredictionLoaders(predictionDb, dataKeys, { principal: OWNER, catalogLoaders });
    const context = { principal: OWNER, catalogLoaders, predictionLoaders, connection: null as never };
    return outcomes.record({ prediction, value, reason: `outcome ${value}` }, context);
  };
  const by = { principal: COMMAND_LINE, action: 'deletePredictions', reason: 'a kill test' } as const;
  const erase = (id: string) =>
    erasures.erase({ account: ACCOUNT, subject: null, keyId: null, from: null, to: null, predictions: [id] }, by);
  let count = 0;
  return async () => {
    const [kept, erased] = [await record('kept'), await record('erased')];
    const value = ++count;
    await outcomeOf(kept, -value);
    await Promise.allSettled([outcomeOf(erased, value), erase(erased)]);
    await outcomeOf(kept, value);
    return { kept, erased, outcome: value };
  };
}

const KINDS = { uploads: makeUploads, erasures: makeErasures, outcomes: makeOutcomes };
const change = await KINDS[wanted as keyof typeof KINDS]();
for (;;) process.stdout.write(`${JSON.stringify(await change())}\n`);
