/** A share of `npm run test:cost`: the largest accepted request of every field and argument, judged by counts. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { buildSchema, type GraphQLSchema } from 'graphql';
import { startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.ts';
import { auditPredictions, auditStored } from './cost-audit/predictions.ts';
import { type Audited, auditFields } from './cost-audit/requests.ts';
import { type Row, runAudit } from './cost-audit/run.ts';
import { survey } from './cost-audit/survey.ts';
import { fillModels } from './fuzz/material.ts';

let app: TestApp;
let store: TestStore;
let schema: GraphQLSchema;
let found: Awaited<ReturnType<typeof survey>>;
beforeAll(async () => {
  store = await createStore();
  const modelStore = await fillModels(store);
  app = await startTestApp({ empty: true, modelStore, dataDir: path.join(store.folder, 'data') });
  schema = buildSchema(await readFile('schema/schema.graphql', 'utf8'));
  found = await survey(app.url);
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

/** What a point pays for at least; ten times as much is tolerated. */
const BYTES_PER_POINT = 8_192;
const VALUES_PER_POINT = 100;
const MAX_RATIO = 10;
const MAX_RESPONSE_BYTES = 16 * 1024 * 1024;
/** Of any request, whatever its price: messages, and statements of the first read. */
const FREE = { bytes: 65_536, values: 2_000, statements: 20 };

async function audit(audited: readonly Audited[]) {
  const { catalogFile, predictionsFile } = app.app.databases;
  const measure = async ({ send }: { send(): Promise<void> }) => {
    const before = catalogFile.statementCount + predictionsFile.statementCount;
    await send();
    return { statements: catalogFile.statementCount + predictionsFile.statementCount - before };
  };
  return runAudit(audited, { url: app.url, measure });
}

/** Rows whose counts are far above their price. */
function outliers(rows: readonly (Row & { statements: number })[]): unknown[] {
  return rows.filter(
    ({ price, responseBytes, values, statements }) =>
      responseBytes > Math.min(MAX_RESPONSE_BYTES, MAX_RATIO * BYTES_PER_POINT * price) + FREE.bytes ||
      values > MAX_RATIO * VALUES_PER_POINT * price + FREE.values ||
      statements > MAX_RATIO * price + FREE.statements,
  );
}

test('for every 64th field and argument, the largest request returns and reads no more than its price pays for', async () => {
  const audited = auditFields(schema, found.names).filter((_, i) => i % 64 === 0);

  const { rows, invalid, refused } = await audit(audited);

  expect(audited.length).toBeGreaterThan(8);
  expect(invalid).toEqual([]);
  expect(refused).toEqual([]);
  expect(outliers(rows)).toEqual([]);
});

test('for every kind of stored prediction, the largest request for its contents returns no more than its price pays for', async () => {
  const audited = auditStored(schema, found.stored);

  const { rows, invalid } = await audit(audited);

  expect(rows.length).toBe(audited.length);
  expect(invalid).toEqual([]);
  expect(outliers(rows)).toEqual([]);
});

test('for every sixth kind of input and answer, the largest prediction returns no more than its price pays for', async () => {
  const models = [
    'penguins',
    'fashion-cnn',
    'spam-filter',
    'tiny-ner',
    'tiny-mlm',
    'echo-fp32',
    'echo-int64',
    'echo-bytes',
  ];
  const subjects = found.subjects.filter(({ model }) => models.includes(model));
  const audited = await auditPredictions(schema, subjects);
  // Lists of inputs take long, and their answers are small.
  const alone = audited.filter(({ name }) => !name.startsWith('predictMany'));
  const { rows, invalid } = await audit(alone.filter((_, i) => i % 6 === 0));

  expect(rows.length).toBeGreaterThan(10);
  expect(invalid).toEqual([]);
  expect(outliers(rows)).toEqual([]);
});
