/** Gates of aliases: what a version must have shown before an alias is pointed to it. */
import { gainsOfMetrics } from '#src/evaluation/paired.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import type { TestStore } from '../support/model-store.js';
import { encodeModel, identity } from '../support/onnx.js';
import { PublishingClient } from '../support/publishing-client.js';
import { until } from '../support/until.js';
import { type ToldRow, toldModels, toldRows } from './told-models.js';

const PROBLEM = `problem { code message ... on InvalidInput { problems { path code message expected received } }
  ... on GateNotPassed { attempts reasons { code message } } }`;
const VERDICT = `isPassed reasons { code message } evaluation { id } comparedWith { ref }
  checks { name value threshold margin gain lowerBound isPassed }`;
const GATE = 'alias rowsSha256 attempts conditions { name average label threshold margin } dataset { name }';
const SET_GATE = `mutation ($input: SetGateInput!) { setGate(input: $input) { gate { ${GATE} } ${PROBLEM} } }`;
const REMOVE_GATE = `mutation ($input: RemoveGateInput!) { removeGate(input: $input) { alias ${PROBLEM} } }`;
const SET_ALIAS = `mutation ($input: SetAliasInput!) { setAlias(input: $input) { alias { aliasedVersion { ref } } ${PROBLEM} } }`;
const ROLLBACK = `mutation ($input: RollbackAliasInput!) { rollbackAlias(input: $input) { alias { aliasedVersion { ref } } ${PROBLEM} } }`;
const GATES = `query ($model: String!, $alias: String) { model(name: $model) { gates { ${GATE} verdict { ${VERDICT} } }
  aliases { name aliasedVersion { ref } }
  aliasHistory(alias: $alias) { nodes { alias gateOutcome isRollback reason aliasedVersion { ref } } } } }`;
const JUDGE = `query ($ref: VersionRef!, $alias: String!) { version(ref: $ref) { gate(alias: $alias) { ${VERDICT} } } }`;
const EVALUATE = `mutation ($input: EvaluateInput!) { evaluate(input: $input) { evaluation { id } ${PROBLEM} } }`;
const STATE = 'query ($id: ID!) { node(id: $id) { ... on Evaluation { jobState problem { message } } } }';
const REGISTER = `mutation ($input: RegisterDatasetInput!) { registerDataset(input: $input) { dataset { id } ${PROBLEM} } }`;
const AUDIT =
  'query ($target: String) { auditLog(target: $target, first: 3) { nodes { action reason before after } } }';

/**
 * Of 400 rows, version 1 answers 320 right, version 2 the same and 30 more, version 3 loses 10 of them and gains 10 others,
 * version 4 loses 60.
 */
const ROWS = Array.from({ length: 400 }, (_, i): ToldRow => {
  const truth = i % 2 === 0 ? 'yes' : 'no';
  const answer = (isRight: boolean) => (isRight === (truth === 'yes') ? 0.9 : 0.1);
  const first = i < 320;
  return [truth, answer(first), answer(i < 350), answer((first && i >= 10) || (i >= 380 && i < 390)), answer(i < 260)];
});

let store: TestStore;
let app: TestApp;
let admin: PublishingClient;
let team: PublishingClient;
let viewer: PublishingClient;
beforeAll(async () => {
  store = await toldModels();
  app = await startTestApp({ modelStore: store.folder });
  admin = await new PublishingClient(() => app.url, null).withKey('ops', ['ADMIN', 'PUBLISHER', 'EVALUATOR']);
  team = await admin.withKey('team', ['PUBLISHER']);
  viewer = await admin.withKey('visitors', ['VIEWER']);
  await register('held-out', ROWS, { visibility: 'PUBLIC' });
  await register('hidden', ROWS.slice(1));
  for (const version of [1, 2, 3, 4]) await evaluated(`told-class:${version}`, 'held-out');
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

async function register(name: string, rows: readonly ToldRow[], more: object = {}): Promise<void> {
  const data = { format: 'JSON_LINES', content: toldRows(rows) };
  const input = { name, task: 'TABULAR_CLASSIFICATION', target: 'truth', data, ...more };
  expect((await admin.send(REGISTER, { input })).registerDataset.problem).toBeNull();
}

async function evaluated(version: string, dataset: string): Promise<void> {
  const { evaluation, problem } = (await admin.send(EVALUATE, { input: { version, dataset } })).evaluate;
  expect(problem).toBeNull();
  await until(`${version} is evaluated`, async () => {
    const { node } = await admin.send(STATE, { id: evaluation.id });
    if (node.jobState === 'FAILED') throw new Error(node.problem.message);
    return node.jobState === 'SUCCEEDED';
  });
}

async function setGate(alias: string, conditions: readonly object[], more: object = {}, by = admin): Promise<Data> {
  const input = { model: 'told-class', alias, dataset: 'held-out', conditions, ...more };
  return (await by.send(SET_GATE, { input })).setGate;
}

/** Where the alias points then, or the problem. */
async function setAlias(alias: string, version: number, more: object = {}): Promise<Data> {
  const input = { model: 'told-class', alias, version: `told-class:${version}`, ...more };
  const { alias: moved, problem } = (await admin.send(SET_ALIAS, { input })).setAlias;
  return problem ?? moved.aliasedVersion.ref;
}

const ACCURACY = { name: 'accuracy', threshold: 0.75, margin: 0.02 };

test('without a holder only the thresholds count; then a version must be shown to be no worse', async () => {
  const { gate, problem } = await setGate('live', [ACCURACY]);
  expect(problem).toBeNull();
  expect(gate).toMatchObject({ alias: 'live', attempts: 0, dataset: { name: 'held-out' } });
  expect(gate.conditions).toEqual([{ average: null, label: null, ...ACCURACY }]);

  expect(await setAlias('live', 4)).toMatchObject({
    code: 'GATE_NOT_PASSED',
    attempts: 1,
    reasons: [{ code: 'THRESHOLD_MISSED', message: 'accuracy is 0.65, and must be at least 0.75' }],
  });
  expect(await setAlias('live', 1)).toBe('told-class:1');
  // As good, but with too few rows to show it.
  const uncertain = await setAlias('live', 3);
  expect(uncertain).toMatchObject({ code: 'GATE_NOT_PASSED', attempts: 3, reasons: [{ code: 'MAY_BE_WORSE' }] });
  expect(uncertain.message).toContain('The version has not passed the gate of told-class@live');
  expect(await setAlias('live', 5)).toMatchObject({
    reasons: [{ code: 'NOT_EVALUATED', message: expect.stringContaining('evaluate(input: { version: "told-class:5"') }],
  });
  expect(await setAlias('live', 2)).toBe('told-class:2');
  // It is there already: nothing is judged.
  expect(await setAlias('live', 2)).toBe('told-class:2');

  const { model } = await admin.send(GATES, { model: 'told-class', alias: 'live' });
  expect(model.gates).toMatchObject([{ attempts: 5, verdict: { isPassed: true, comparedWith: null } }]);
  expect(model.aliasHistory.nodes.map(({ gateOutcome }: Data) => gateOutcome)).toEqual(['PASSED', 'PASSED']);
});

test('every version has a verdict with numbers, which is no attempt', async () => {
  const of = async (version: number) =>
    (await admin.send(JUDGE, { ref: `told-class:${version}`, alias: 'live' })).version.gate;
  const worse = await of(1);

  expect(worse).toMatchObject({ isPassed: false, comparedWith: { ref: 'told-class:2' } });
  expect(worse.checks).toMatchObject([{ name: 'accuracy', value: 0.8, margin: 0.02, isPassed: false }]);
  expect(worse.checks[0].gain).toBeCloseTo(-0.075, 10);
  expect(worse.checks[0].lowerBound).toBeLessThan(-0.075);
  expect(await of(5)).toMatchObject({ isPassed: false, evaluation: null, checks: [] });
  expect(await of(2)).toMatchObject({ isPassed: true, reasons: [] });
  expect((await admin.send(JUDGE, { ref: 'told-class:1', alias: 'none' })).version.gate).toBeNull();
  expect((await admin.send(GATES, { model: 'told-class' })).model.gates[0].attempts).toBe(5);
});

test('an override needs a reason, which the history and the audit log have with what was missing', async () => {
  await setGate('pushed', [ACCURACY]);
  expect(await setAlias('pushed', 1)).toBe('told-class:1');

  expect(await setAlias('pushed', 4, { override: { reason: ' ' } })).toMatchObject({
    problems: [{ path: ['input', 'override', 'reason'], code: 'EMPTY' }],
  });
  expect(await setAlias('pushed', 4, { override: { reason: 'the old one leaks' } })).toBe('told-class:4');

  const { model } = await admin.send(GATES, { model: 'told-class', alias: 'pushed' });
  expect(model.aliasHistory.nodes[0]).toMatchObject({ gateOutcome: 'OVERRIDDEN', reason: 'the old one leaks' });
  const { auditLog } = await admin.send(AUDIT, { target: 'told-class@pushed' });
  expect(auditLog.nodes[0]).toMatchObject({
    action: 'setAlias',
    reason: 'the old one leaks',
    after: {
      version: 'told-class:4',
      gate: 'OVERRIDDEN',
      overridden: [{ code: 'THRESHOLD_MISSED' }, { code: 'MAY_BE_WORSE' }],
    },
  });
  expect(auditLog.nodes[2]).toMatchObject({ action: 'setGate', before: null, after: { dataset: 'held-out' } });
  const verdict = model.gates.find(({ alias }: Data) => alias === 'pushed').verdict;
  expect(verdict).toMatchObject({ isPassed: false, reasons: [{ code: 'THRESHOLD_MISSED' }] });

  // To go back asks no gate.
  const back = (await admin.send(ROLLBACK, { input: { model: 'told-class', alias: 'pushed' } })).rollbackAlias;
  expect(back.alias.aliasedVersion.ref).toBe('told-class:1');
});

test('evaluations on training data, and of a holder without one, do not count', async () => {
  const { catalogDb } = app.app.databases;
  const idOf = async (ref: string) => (await admin.send(`{ version(ref: "${ref}") { id } }`)).version.id as string;
  const { id: dataset_id } = (await admin.send('{ dataset(name: "held-out") { id } }')).dataset;
  await setGate('trained', [ACCURACY]);
  const row = { version_id: await idOf('told-class:2'), dataset_id };
  await catalogDb.insertInto('version_dataset').values(row).execute();

  expect(await setAlias('trained', 2)).toMatchObject({ reasons: [{ code: 'ON_TRAINING_DATA' }] });
  expect(await setAlias('trained', 2, { override: { reason: 'first' } })).toBe('told-class:2');
  expect(await setAlias('trained', 1)).toMatchObject({ reasons: [{ code: 'HOLDER_ON_TRAINING_DATA' }] });
  await catalogDb.deleteFrom('version_dataset').where('version_id', '=', row.version_id).execute();
  await setAlias('trained', 5, { override: { reason: 'second' } });
  expect(await setAlias('trained', 1)).toMatchObject({ reasons: [{ code: 'HOLDER_NOT_EVALUATED' }] });
  // Thresholds alone need no evaluation of the holder.
  await setGate('trained', [{ name: 'accuracy', threshold: 0.8 }]);
  expect(await setAlias('trained', 1)).toBe('told-class:1');
});

test('a version whose evaluation is of other rows is told to evaluate again', async () => {
  const { catalogDb } = app.app.databases;
  const { id } = (await admin.send('{ version(ref: "told-class:4") { evaluation(dataset: "held-out") { id } } }'))
    .version.evaluation;
  const rowsAre = (rows_sha256: string) =>
    catalogDb.updateTable('evaluation_job').set({ rows_sha256 }).where('evaluation_id', '=', id).execute();
  const { rowsSha256 } = (await setGate('earlier', [ACCURACY])).gate;
  await rowsAre('0'.repeat(64));

  const [reason] = (await setAlias('earlier', 4)).reasons;
  await rowsAre(rowsSha256);

  expect(reason.code).toBe('OTHER_ROWS');
  expect(reason.message).toContain('then call evaluate(input: { version: "told-class:4", dataset: "held-out" })');
});

test('the same graph with the same answers is no worse, also in metrics that are resampled', () => {
  const truth = Float64Array.from({ length: 20 }, (_, i) => i);
  const answers = (change: number) => {
    const predicted = truth.map((value, i) => value + (i % 3) + (i === 0 ? change : 0));
    return { rows: Uint32Array.from(truth), truth, predicted, scores: null, items: null };
  };
  const gainOf = (change: number, isSameGraph: boolean) => {
    const paired = { candidate: answers(change), holder: answers(0), labels: null, rows: 20, leftOut: 0 };
    return gainsOfMetrics(paired, [{ name: 'mae', average: null, label: null }], { seed: 's', isSameGraph })[0];
  };

  expect(gainOf(0, true)).toMatchObject({ gain: 0, lowerBound: 0, undefinedReason: null });
  // Of another graph, more rows might tell them apart.
  expect(gainOf(0, false)).toMatchObject({ gain: 0, lowerBound: null });
  expect(gainOf(1, true)?.lowerBound).toBeLessThan(-0.05);
});

test('concurrent promotions are judged one after the other, each against what the one before has left', async () => {
  await setGate('raced', [
    { name: 'accuracy', margin: 0.02 },
    { name: 'log_loss', margin: 0.01 },
  ]);
  expect(await setAlias('raced', 1)).toBe('told-class:1');

  const results = await Promise.all([2, 1, 3, 2].map((version) => setAlias('raced', version)));

  // Version 1 would have passed against itself, and is worse than version 2.
  expect(results[0]).toBe('told-class:2');
  expect(results[1]).toMatchObject({ code: 'GATE_NOT_PASSED' });
  expect(results[2]).toMatchObject({ code: 'GATE_NOT_PASSED' });
  expect(results[3]).toBe('told-class:2');
  const { model } = await admin.send(GATES, { model: 'told-class', alias: 'raced' });
  expect(model.aliasHistory.nodes).toHaveLength(2);
  expect(model.gates.find(({ alias }: Data) => alias === 'raced').attempts).toBe(4);
});

test('conditions that make no sense are refused', async () => {
  const refused = async (conditions: readonly object[], more: object = {}) => {
    const { gate, problem } = await setGate('wrong', conditions, more);
    expect(gate).toBeNull();
    return problem.problems ?? problem.code;
  };
  const at = (...path: string[]) => ['input', 'conditions', ...path];

  expect(await refused([])).toMatchObject([{ path: at(), code: 'EMPTY' }]);
  expect(await refused([{ name: 'acuracy', threshold: 1 }])).toMatchObject([
    { path: at('0', 'name'), code: 'UNKNOWN_NAME', expected: expect.stringContaining('accuracy') },
  ]);
  expect(await refused([{ name: 'recall', label: 'maybe', threshold: 1 }])).toMatchObject([
    { code: 'UNKNOWN_NAME', expected: 'recall of no, recall of yes' },
  ]);
  expect(await refused([{ name: 'accuracy' }])).toMatchObject([{ path: at('0'), code: 'MISSING' }]);
  expect(await refused([ACCURACY, ACCURACY])).toMatchObject([{ path: at('1'), code: 'WRONG_KIND' }]);
  expect(await refused([{ name: 'accuracy', margin: -1 }])).toMatchObject([
    { path: at('0', 'margin'), code: 'OUT_OF_RANGE' },
  ]);
  for (const field of ['threshold', 'margin'])
    expect(await refused([{ name: 'accuracy', [field]: 95 }])).toMatchObject([
      { path: at('0', field), code: 'OUT_OF_RANGE', expected: 'at most 1: send 0.95 for 95%' },
    ]);
  for (const field of ['threshold', 'margin']) {
    // Only a literal is infinite: variables are not.
    const conditions = `[{ name: "accuracy", ${field}: 1e999 }]`;
    const input = `{ model: "told-class", alias: "wrong", dataset: "held-out", conditions: ${conditions} }`;
    const { gate, problem } = (await admin.send(`mutation { setGate(input: ${input}) { gate { alias } ${PROBLEM} } }`))
      .setGate;
    expect([gate, problem.problems]).toMatchObject([null, [{ path: at('0', field), code: 'NOT_FINITE' }]]);
  }
  expect(await refused([ACCURACY], { alias: 'No Name' })).toMatchObject([{ path: ['input', 'alias'] }]);
  expect(await refused([ACCURACY], { dataset: 'no-such' })).toBe('NOT_FOUND');
  expect(await refused([ACCURACY], { model: 'no-such' })).toBe('NOT_FOUND');
  expect((await setGate('wrong', [ACCURACY], { dataset: 'held-ou' })).problem.message).toContain(
    'Did you mean held-out?',
  );
  expect((await setGate('wrong', [ACCURACY], { model: 'told-clas' })).problem.message).toContain(
    'Did you mean told-class?',
  );
  const { problem } = (await admin.send(EVALUATE, { input: { version: 'told-class:77', dataset: 'held-out' } }))
    .evaluate;
  expect(problem.message).toMatch(/Did you mean told-class:\d\?/);
  const remove = async (alias: string) =>
    (await admin.send(REMOVE_GATE, { input: { model: 'told-class', alias } })).removeGate;
  expect((await remove('wrong')).problem.code).toBe('NOT_FOUND');
  await setGate('removed', [ACCURACY]);
  expect(await remove('removed')).toEqual({ alias: 'removed', problem: null });
  expect(await setAlias('removed', 5)).toBe('told-class:5');
});

test('only who owns the model sets its gates, which no publication goes around', async () => {
  expect((await setGate('live', [ACCURACY], {}, team)).problem).toMatchObject({ code: 'FORBIDDEN' });
  expect(
    (await team.send(REMOVE_GATE, { input: { model: 'told-class', alias: 'live' } })).removeGate.problem,
  ).toMatchObject({ code: 'FORBIDDEN' });
  await team.register('own', 'TABULAR_CLASSIFICATION');
  expect((await setGate('live', [ACCURACY], { model: 'own' }, team)).problem).toBeNull();
  const files = { '1/model.onnx': encodeModel(identity('x', 'FP32', ['N', 2])) };

  const { problem } = await team.publish('own', files, { aliases: ['other', 'live'] });
  expect(problem).toMatchObject({ problems: [{ path: ['input', 'aliases'], code: 'WRONG_KIND' }] });
});

test('verdicts are only for those who may see the dataset, and a gate outlives it', async () => {
  await setGate('secret', [ACCURACY], { dataset: 'hidden' });
  await evaluated('told-class:1', 'hidden');
  const seen = (await viewer.send(GATES, { model: 'told-class', alias: 'secret' })).model.gates;
  const judged = { ref: 'told-class:1', alias: 'secret' };

  expect(seen.find(({ alias }: Data) => alias === 'secret')).toMatchObject({ dataset: null, verdict: null });
  expect((await viewer.send(JUDGE, judged)).version.gate).toBeNull();
  expect((await admin.send(JUDGE, judged)).version.gate).toMatchObject({ isPassed: true });
  await admin.send('mutation { deleteDataset(input: { dataset: "hidden" }) { deletedId } }');
  await register('hidden', ROWS.slice(1));
  expect(await setAlias('secret', 1)).toMatchObject({ code: 'GATE_NOT_PASSED', reasons: [{ code: 'NOT_EVALUATED' }] });
});
