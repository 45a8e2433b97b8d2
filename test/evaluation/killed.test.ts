/** An evaluation goes on where a killed server has left it, with the result that it would have had. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { STORE } from '../support/app.js';
import { armFault, disarmFault } from '../support/faults.js';
import { type Data, post } from '../support/graphql-client.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { until } from '../support/until.js';

const EVALUATE = `mutation ($input: EvaluateInput!) { evaluate(input: $input) { evaluation { id } problem { message } } }`;
const READ = `query ($id: ID!) { node(id: $id) { ... on Evaluation { jobState evaluatedRows problem { message }
  confusionMatrix { cells } metrics { name average label value interval { low high } } } } }`;

let dataDir: string;
let server: ServerProcess;
beforeAll(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-evaluation-'));
  await cp(process.env['MODELGRAPH_TEMPLATE'] as string, dataDir, { recursive: true });
});
afterAll(async () => {
  await disarmFault();
  await server.end('SIGKILL');
  await rm(dataDir, { recursive: true, force: true });
});

async function start(): Promise<void> {
  server = await startServer({ DATA_DIR: dataDir, MODEL_STORE: STORE, WORKERS: '1' });
}

/** Starts a server that is killed as soon as it goes on, perhaps before it is ready. */
async function startToBeKilled(): Promise<void> {
  await start().then(
    () => server.ended,
    () => {},
  );
}

async function evaluate(slices: object[]): Promise<string> {
  const input = { version: 'spam-filter', dataset: 'spamassassin-test', slices };
  return (await post(server.url, EVALUATE, { input })).data.evaluate.evaluation.id;
}

async function ended(id: string): Promise<Data> {
  let found: Data = null;
  await until('the evaluation has ended', async () => {
    found = (await post(server.url, READ, { id })).data.node;
    return ['SUCCEEDED', 'FAILED'].includes(found.jobState);
  });
  return found;
}

test('an evaluation survives kills of the server', async () => {
  await start();
  const { jobState, ...undisturbed } = await ended(await evaluate([]));
  expect({ jobState, rows: undisturbed.evaluatedRows }).toEqual({ jobState: 'SUCCEEDED', rows: 1_408 });

  // Slices make it another evaluation with the same metrics.
  let id = '';
  for (const [point, nth] of [
    ['evaluation.answered', 2],
    ['evaluation.measured', 1],
  ] as const) {
    await armFault(point, 'SIGKILL', nth);
    if (id === '') {
      id = await evaluate([{ column: 'label' }]);
      await server.ended;
    } else await startToBeKilled();
    expect({ point, fired: await disarmFault() }).toEqual({ point, fired: true });
  }
  await start();

  const { jobState: after, ...resumed } = await ended(id);
  expect(after).toBe('SUCCEEDED');
  expect(resumed).toEqual(undisturbed);
});

const IMPORTANCE = `query ($id: ID!) { node(id: $id) { ... on Evaluation { jobState problem { message }
  importance { metric { value } features { feature mean standardDeviation permuted } } } } }`;

test('an importance goes on at the column at which the server was killed', async () => {
  const evaluate = async (slices: object[]) => {
    const input = { version: 'penguins', dataset: 'penguins-test', importance: { repeats: 3 }, slices };
    return (await post(server.url, EVALUATE, { input })).data.evaluate.evaluation.id;
  };
  const importanceOf = async (id: string) => {
    await ended(id);
    return (await post(server.url, IMPORTANCE, { id })).data.node;
  };
  const undisturbed = await importanceOf(await evaluate([]));
  expect(undisturbed.importance.features).toHaveLength(6);
  await armFault('evaluation.shuffled', 'SIGKILL', 3);
  const id = await evaluate([{ column: 'island' }]);
  await server.ended;
  expect(await disarmFault()).toBe(true);
  await start();

  expect(await importanceOf(id)).toEqual(undisturbed);
});

const GATE = `mutation ($input: SetGateInput!) { setGate(input: $input) { problem { message } } }`;
const SET_ALIAS = `mutation ($input: SetAliasInput!) { setAlias(input: $input) { alias { aliasedVersion { ref } } problem { message } } }`;
const GATES = `{ model(name: "spam-filter") { gates { attempts } aliases { name } aliasHistory(alias: "gated") { nodes { gateOutcome } } } }`;

test('a promotion whose server is killed after it was judged has not happened, and can be repeated', async () => {
  const conditions = [{ name: 'accuracy', threshold: 0.5 }];
  const gate = { model: 'spam-filter', alias: 'gated', dataset: 'spamassassin-test', conditions };
  expect((await post(server.url, GATE, { input: gate })).data.setGate.problem).toBeNull();
  const input = { model: 'spam-filter', alias: 'gated', version: 'spam-filter' };
  await armFault('gate.judged', 'SIGKILL');
  await post(server.url, SET_ALIAS, { input }).catch(() => {});
  await server.ended;
  expect(await disarmFault()).toBe(true);
  await start();

  const { aliases, ...before } = (await post(server.url, GATES)).data.model;
  expect(before).toEqual({ gates: [{ attempts: 0 }], aliasHistory: { nodes: [] } });
  expect(aliases.map(({ name }: Data) => name)).not.toContain('gated');
  expect((await post(server.url, SET_ALIAS, { input })).data.setAlias.problem).toBeNull();
  const { gates, aliasHistory } = (await post(server.url, GATES)).data.model;
  expect({ gates, aliasHistory }).toEqual({
    gates: [{ attempts: 1 }],
    aliasHistory: { nodes: [{ gateOutcome: 'PASSED' }] },
  });
});

test('an evaluation that ends the server again and again has failed', async () => {
  let id = '';
  for (let attempt = 1; attempt <= 3; attempt++) {
    await armFault('evaluation.answered', 'SIGKILL');
    if (id === '') {
      id = await evaluate([{ column: 'label', equals: 'ham' }]);
      await server.ended;
    } else await startToBeKilled();
    expect({ attempt, fired: await disarmFault() }).toEqual({ attempt, fired: true });
  }
  await start();

  expect(await ended(id)).toMatchObject({
    jobState: 'FAILED',
    problem: { message: expect.stringContaining('the server ended, or failed, 3 times') },
  });
});
