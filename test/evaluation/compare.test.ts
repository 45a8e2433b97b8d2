/** Versions that were evaluated on the same rows, compared with each other. */

import { NO_NUMBERS } from '#src/evaluation/answers-file.js';
import { Comparisons } from '#src/evaluation/comparisons.js';
import { comparedMetrics, type Paired, pairedAnswers } from '#src/evaluation/paired.js';
import { compareProportions, holm } from '#src/statistics/comparison.js';
import { BlobFolder } from '#src/storage/blobs.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import type { TestStore } from '../support/model-store.js';
import { PublishingClient } from '../support/publishing-client.js';
import { until } from '../support/until.js';
import { type ToldRow, toldModels, toldRows } from './told-models.js';

const PROBLEM = 'problem { code message ... on InvalidInput { problems { path code message expected received } } }';
const COMPARE = `query ($versions: [VersionRef!]!, $dataset: String!, $metrics: [MetricKeyInput!]) {
  compare(versions: $versions, dataset: $dataset, metrics: $metrics) { comparison { baseline { ref } baselineEvaluation { id }
    differences { comparedVersion { ref } evaluation { id } rows leftOutRows reason metrics { name average label title higherIsBetter value
      baselineValue difference interval { low high level method } pValue adjustedPValue verdict undefinedReason resamples } }
    missing { missingVersion { ref } message } } ${PROBLEM} } }`;
const EVALUATE = `mutation ($input: EvaluateInput!) { evaluate(input: $input) { evaluation { id } ${PROBLEM} } }`;
const STATE = 'query ($id: ID!) { node(id: $id) { ... on Evaluation { jobState failedRows problem { message } } } }';
const REGISTER = `mutation ($input: RegisterDatasetInput!) { registerDataset(input: $input) { dataset { id } ${PROBLEM} } }`;

let store: TestStore;
let app: TestApp;
let evaluator: PublishingClient;
beforeAll(async () => {
  store = await toldModels();
  app = await startTestApp({ modelStore: store.folder });
  const admin = await new PublishingClient(() => app.url, null).withKey('ops', ['ADMIN']);
  evaluator = await admin.withKey('quality', ['EVALUATOR']);
  await register('classes', 'TABULAR_CLASSIFICATION', CLASSES);
  await register('numbers', 'TABULAR_REGRESSION', NUMBERS);
  for (const version of [1, 2, 3]) await evaluated(`told-class:${version}`, 'classes');
  for (const version of [1, 2, 3]) await evaluated(`told-number:${version}`, 'numbers');
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

/** Of 200 rows, version 1 answers 160 right, version 2 the same but 30 others too, and version 3 loses 4 and gains 6. */
const CLASSES = Array.from({ length: 200 }, (_, i): ToldRow => {
  const truth = i % 2 === 0 ? 'yes' : 'no';
  const answer = (isRight: boolean) => (isRight === (truth === 'yes') ? 0.9 : 0.1);
  const [first, gained] = [i < 160, i >= 160 && i < 190];
  return [truth, answer(first), answer(first || gained), answer((first && i >= 4) || (i >= 160 && i < 166))];
});

/** Version 1 is wrong by 1, version 2 by 0.25, and has no answer to two rows; version 3 by 1 in the other direction. */
const NUMBERS = Array.from({ length: 100 }, (_, i): ToldRow => {
  const truth = 10 + (i % 7);
  const wobble = (i % 5) / 10;
  return [truth, truth + 1 + wobble, i < 2 ? -1 : truth + 0.25 + wobble, truth - 1 - wobble];
});

async function register(name: string, task: string, rows: readonly ToldRow[]): Promise<void> {
  const input = { name, task, target: 'truth', data: { format: 'JSON_LINES', content: toldRows(rows) } };
  expect((await evaluator.send(REGISTER, { input })).registerDataset.problem).toBeNull();
}

async function evaluated(version: string, dataset: string): Promise<void> {
  const { evaluation, problem } = (await evaluator.send(EVALUATE, { input: { version, dataset } })).evaluate;
  expect(problem).toBeNull();
  await until(`${version} is evaluated`, async () => {
    const { node } = await evaluator.send(STATE, { id: evaluation.id });
    if (node.jobState === 'FAILED') throw new Error(node.problem.message);
    return node.jobState === 'SUCCEEDED';
  });
}

async function compare(versions: readonly string[], dataset: string, metrics?: readonly object[]): Promise<Data> {
  return (await evaluator.send(COMPARE, { versions, dataset, metrics })).compare;
}

test("accuracies are compared by McNemar's test, with Tango's interval, and adjusted by Holm", async () => {
  const { comparison, problem } = await compare(['told-class:1', 'told-class:2', 'told-class:3'], 'classes');

  expect(problem).toBeNull();
  expect(comparison).toMatchObject({ baseline: { ref: 'told-class:1' }, missing: [] });
  const expected = [
    [30, 0],
    [6, 4],
  ].map(([gained = 0, lost = 0]) =>
    compareProportions({
      candidate: Uint8Array.from({ length: 200 }, (_, i) => (i < gained ? 1 : i < gained + lost ? 0 : 1)),
      holder: Uint8Array.from({ length: 200 }, (_, i) => (i < gained ? 0 : 1)),
    }),
  );
  const adjusted = holm(expected.map(({ pValue }) => pValue));
  for (const [i, { rows, leftOutRows, reason, metrics }] of comparison.differences.entries()) {
    expect({ rows, leftOutRows, reason }).toEqual({ rows: 200, leftOutRows: 0, reason: null });
    const { difference, interval, pValue } = expected[i] as (typeof expected)[number];
    expect(metrics).toMatchObject([{ name: 'accuracy', title: 'Accuracy', baselineValue: 0.8, undefinedReason: null }]);
    expect(metrics[0].difference).toBeCloseTo(difference as number, 12);
    expect(metrics[0].value - metrics[0].baselineValue).toBeCloseTo(difference as number, 12);
    expect(metrics[0]).toMatchObject({ interval, pValue, adjustedPValue: adjusted[i], resamples: 0 });
  }
  expect(comparison.differences.map(({ metrics }: Data) => metrics[0].verdict)).toEqual([
    'BETTER',
    'NO_DIFFERENCE_SHOWN',
  ]);
});

test('a metric of a class that only the baseline has found is undefined, and the others are compared', () => {
  const answersOf = (label: string) => {
    const line = JSON.stringify({
      truth: [{ label: 'LOC', start: 0, end: 5 }],
      predicted: [{ label, start: 0, end: 5 }],
    });
    const items = { kind: 'tokens', lines: Array.from({ length: 12 }, () => line) } as const;
    const rows = Uint32Array.from(items.lines, (_, i) => i + 1);
    return { labels: ['LOC', 'PER'], answers: { ...NO_NUMBERS, rows, items } };
  };
  const paired = pairedAnswers({ candidate: answersOf('LOC'), holder: answersOf('PER') });
  const metrics = [
    { name: 'f1', average: 'micro', label: null },
    { name: 'f1', average: null, label: 'PER' },
  ];

  expect(comparedMetrics(paired as Paired, metrics, 's')).toMatchObject([
    { ...metrics[0], value: 1, holderValue: 0, difference: 1 },
    { ...metrics[1], value: null, holderValue: 0, difference: null, undefinedReason: expect.stringContaining('Only') },
  ]);
});

test('other metrics are compared by the paired bootstrap, with the same numbers each time', async () => {
  const metrics = [{ name: 'log_loss' }, { name: 'f1', average: 'macro' }, { name: 'recall', label: 'yes' }];
  const once = await compare(['told-class:1', 'told-class:2'], 'classes', metrics);
  const again = await compare(['told-class:1', 'told-class:2'], 'classes', metrics.toReversed());

  expect(once.problem).toBeNull();
  expect(again).toEqual(once);
  const found = once.comparison.differences[0].metrics;
  expect(found.map(({ name, verdict }: Data) => [name, verdict]).sort()).toEqual([
    ['f1', 'BETTER'],
    ['log_loss', 'BETTER'],
    ['recall', 'BETTER'],
  ]);
  for (const { difference, interval, resamples, higherIsBetter } of found) {
    expect(interval).toMatchObject({ level: 0.95, method: 'bca_bootstrap' });
    expect(interval.low).toBeLessThan(difference);
    expect(interval.high).toBeGreaterThan(difference);
    expect({ resamples, isBetter: difference > 0 === higherIsBetter }).toEqual({ resamples: 2_000, isBetter: true });
  }
});

test('a row that one version did not answer counts for neither', async () => {
  const { comparison } = await compare(['told-number:1', 'told-number:2', 'told-number:3'], 'numbers', [
    { name: 'mae' },
  ]);
  const [second, third] = comparison.differences;

  expect(second).toMatchObject({ rows: 98, leftOutRows: 2, metrics: [{ name: 'mae', verdict: 'BETTER' }] });
  expect(second.metrics[0].difference).toBeCloseTo(-0.75, 5);
  expect(third).toMatchObject({ rows: 100, leftOutRows: 0, metrics: [{ verdict: 'NO_DIFFERENCE_SHOWN' }] });
});

test('versions without an evaluation are listed with what to call', async () => {
  const { comparison } = await compare(['told-class:1', 'told-class:4', 'told-class:2'], 'classes');
  const none = await compare(['told-class:4', 'told-class:1'], 'classes');

  expect(comparison.differences.map(({ comparedVersion }: Data) => comparedVersion.ref)).toEqual(['told-class:2']);
  expect(comparison.missing).toMatchObject([
    {
      missingVersion: { ref: 'told-class:4' },
      message: expect.stringContaining('evaluate(input: { version: "told-class:4", dataset: "classes" })'),
    },
  ]);
  expect(none.comparison).toMatchObject({ baselineEvaluation: null, differences: [] });
});

test('what cannot be compared is refused', async () => {
  const problems = async (versions: readonly string[], dataset: string, metrics?: readonly object[]) => {
    const { comparison, problem } = await compare(versions, dataset, metrics);
    expect(comparison).toBeNull();
    return problem.problems ?? problem.code;
  };
  const two = ['told-class:1', 'told-class:2'];

  expect(await problems([], 'classes')).toMatchObject([{ path: ['versions'], code: 'EMPTY' }]);
  expect(await problems(Array(11).fill('told-class:1'), 'classes')).toMatchObject([{ code: 'OUT_OF_RANGE' }]);
  expect(await problems(['told-class:5', 'told-class'], 'classes')).toMatchObject([
    { path: ['versions', '1'], message: 'the version is listed twice', received: 'told-class, which is told-class:5' },
  ]);
  expect(await problems(['told-class:1', 'told-class:99'], 'classes')).toBe('NOT_FOUND');
  expect(await problems(two, 'no-such-dataset')).toBe('NOT_FOUND');
  expect(await problems(two, 'classes', [])).toMatchObject([{ path: ['metrics'], code: 'EMPTY' }]);
  expect(await problems(two, 'classes', [{ name: 'accuracy' }, { name: 'f1' }])).toMatchObject([
    { path: ['metrics', '1'], code: 'UNKNOWN_NAME', expected: expect.stringContaining('f1 (macro)'), received: 'f1' },
  ]);
});

test('one caller cannot take all places of those who ask', async () => {
  const { catalogDb: db } = app.app.databases;
  const blobs = new BlobFolder('never opened');
  const comparisons = new Comparisons({ db, blobs, signal: AbortSignal.abort(new Error('it stops')) });
  const compare = (caller: string, id: string) => {
    const holder = { id, artifactSha256: '', labels: null };
    const wanted = { holder, candidates: [], rowsSha256: '', metrics: [], kind: 'differences' as const };
    return comparisons.compare(wanted, { purpose: 'question', caller }).catch(({ message }: Error) => message);
  };
  const mine = Array.from({ length: 15 }, (_, i) => compare('me', `${i}`));
  const others = await compare('others', '0');

  expect(others).toBe('it stops');
  const counts = Map.groupBy(await Promise.all(mine), (message) => message);
  expect(counts.get('it stops')).toHaveLength(10);
  expect([...counts.keys()]).toHaveLength(2);
});
