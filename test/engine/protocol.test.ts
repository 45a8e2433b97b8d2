/** Messages of a worker are checked against what it was asked. One that does not fit ends that worker and nothing else. */
import { jest } from '@jest/globals';
import fc from 'fast-check';
import { type Command, type FromWorker, loadMessage } from '#src/engine/messages.js';
import { Conversation } from '#src/engine/protocol.js';
import type { ItemResult } from '#src/tasks/failures.js';
import type { NumericRun } from '#src/tasks/numeric.js';
import { inVirtualTime, itemOf, Simulation, settled, simulatedVersion } from '../support/simulation.js';

const VERSION = simulatedVersion();
const TIMING = { preprocessMs: 0, inferMs: 1, postprocessMs: 0 };
const tensor = { name: 'y', datatype: 'FP32', shape: [1], data: Float32Array.of(3) };
const ANSWER = { answer: { kind: 'tensors', tensors: [tensor] } } as const;

/** The outputs for two items, of one row and of two. */
const RUN: NumericRun = { items: [0, 1], outputs: [{ shape: [3], data: Float32Array.of(3, 5, 7) }] };

const COMMANDS: readonly Command[] = [
  { kind: 'checkProvider', provider: 'cpu' },
  loadMessage(VERSION, 'cpu'),
  { kind: 'unload', key: 'v' },
  { kind: 'batch', key: 'v', items: [itemOf(1), itemOf(2)], announceStart: true, measureUse: false },
  {
    kind: 'numericBatch',
    key: 'v',
    counts: [1, 2],
    inputs: [Float32Array.of(1, 2, 3)],
    areTensors: true,
    announceStart: true,
    measureUse: false,
  },
  { kind: 'examine', artifactPath: '', artifactSha256: '', dataFiles: [], dataBlobs: { folder: '', paths: [] } },
  { kind: 'checkBatchInvariance', key: 'v', items: [] },
];

const FACTS = {
  inputs: [],
  outputs: [],
  producer: null,
  opset: 13,
  parameterCount: 0,
  operationsPerValue: 0,
  outputOrigins: {},
  classNames: null,
  knownCategories: [],
  lostMissing: [],
  embeddingRows: null,
  converterFaults: [],
  images: { rescaledInputs: [], ultralytics: null },
  zipMap: null,
  sequences: [],
};

/** One valid message of each kind. */
const messages = (id: number): readonly FromWorker[] => [
  { kind: 'ready' },
  { kind: 'providerChecked', id, available: true, reason: null },
  { kind: 'loaded', id, key: 'v', residentBytes: 1, loadMs: 1, warmUpMs: 1, warmUpCpuMs: 1, executionProvider: 'cpu' },
  { kind: 'loadFailed', id, key: 'v', message: '' },
  { kind: 'unloaded', id, key: 'v' },
  { kind: 'started', id, tokens: null },
  { kind: 'done', id, results: [ANSWER, ANSWER], timing: TIMING, use: null },
  { kind: 'ran', id, runs: [RUN], timing: TIMING, use: null },
  { kind: 'examined', id, facts: FACTS },
  { kind: 'batchInvariance', id, difference: null, padding: null },
  { kind: 'failed', id, message: '' },
];

/** As of `performance.now()`. */
const [ASKED_AT, NOW] = [1_000, 2_000];

function conversation(...commands: readonly Command[]): Conversation {
  const started = new Conversation();
  started.receive({ kind: 'ready' }, NOW);
  for (const [i, command] of commands.entries()) started.ask({ ...command, id: i + 1 }, ASKED_AT);
  return started;
}

const LOAD = COMMANDS[1] as Command;
const BATCH = COMMANDS[3] as Command;
const NUMERIC = COMMANDS[4] as Command;

test('each command accepts exactly its own replies', () => {
  const table = COMMANDS.map((command) => {
    const accepted = messages(2).filter((message) => conversation(LOAD, command).receive(message, NOW) === null);
    return `${command.kind}: ${accepted.map(({ kind }) => kind).join(', ')}`;
  });

  expect(table).toEqual([
    'checkProvider: providerChecked, failed',
    'load: loaded, loadFailed',
    'unload: unloaded',
    'batch: started, done',
    'numericBatch: started, ran',
    'examine: examined, failed',
    'checkBatchInvariance: batchInvariance, failed',
  ]);
});

test('nothing but "ready" is accepted before "ready", and nothing for a number that was not asked or was answered', () => {
  const before = new Conversation();
  before.ask({ ...LOAD, id: 1 }, ASKED_AT);
  expect(
    messages(1)
      .toReversed()
      .filter((message) => before.receive(message, NOW) === null),
  ).toEqual([{ kind: 'ready' }]);

  expect(messages(7).filter((message) => conversation(LOAD, BATCH).receive(message, NOW) === null)).toEqual([]);

  const answered = conversation(LOAD);
  expect(
    answered.receive(
      {
        kind: 'loaded',
        id: 1,
        key: 'v',
        residentBytes: 1,
        loadMs: 1,
        warmUpMs: 1,
        warmUpCpuMs: 1,
        executionProvider: 'cpu',
      },
      NOW,
    ),
  ).toBeNull();
  expect(
    answered.receive(
      {
        kind: 'loaded',
        id: 1,
        key: 'v',
        residentBytes: 1,
        loadMs: 1,
        warmUpMs: 1,
        warmUpCpuMs: 1,
        executionProvider: 'cpu',
      },
      NOW,
    ),
  ).toMatch(/answers nothing that it was asked/);
});

test.each<readonly [string, unknown]>([
  ['too few results', { results: [ANSWER] }],
  ['too many results', { results: [ANSWER, ANSWER, ANSWER] }],
  ['no results', { results: null }],
  ['an empty result', { results: [ANSWER, {}] }],
  ['the answer of another task', { results: [ANSWER, { answer: { kind: 'regression', value: 1, unit: null } }] }],
  ['an unknown kind of answer', { results: [ANSWER, { answer: { kind: 'constructor' } }] }],
  [
    'a tensor with too few values',
    { results: [ANSWER, { answer: { kind: 'tensors', tensors: [{ ...tensor, shape: [2] }] } }] },
  ],
  [
    'a tensor of another datatype',
    { results: [ANSWER, { answer: { kind: 'tensors', tensors: [{ ...tensor, datatype: 'INT32' }] } }] },
  ],
  [
    'a failure with an unknown code',
    { results: [ANSWER, { failure: { kind: 'input', code: 'X', path: [], message: '', expected: '' } }] },
  ],
  ['a time that is not finite', { timing: { ...TIMING, inferMs: Number.NaN } }],
  ['a negative time', { timing: { ...TIMING, inferMs: -1 } }],
  ['no times', { timing: undefined }],
])('a batch with %s is refused', (_, wrong) => {
  const done = { kind: 'done', id: 2, results: [ANSWER, ANSWER], timing: TIMING, use: null, ...(wrong as object) };

  expect(conversation(LOAD, BATCH).receive(done, NOW)).toMatch(
    /^it sent "done" with the number 2 in reply to "batch": /,
  );
});

const output = RUN as Extract<NumericRun, { outputs: unknown }>;
const [y] = output.outputs;

test.each<readonly [string, unknown]>([
  ['no runs', null],
  ['no run of an item', [{ ...output, items: [0], outputs: [{ ...y, shape: [1], data: Float32Array.of(3) }] }]],
  ['an item that it does not hold', [{ ...RUN, items: [0, 2] }]],
  ['an item twice', [{ ...RUN, items: [0, 0] }]],
  ['an item in two runs', [RUN, { ...RUN, items: [1] }]],
  ['a run without items', [RUN, { ...RUN, items: [] }]],
  ['another number of rows', [{ ...RUN, outputs: [{ shape: [2], data: Float32Array.of(3, 5) }] }]],
  ['a shape that does not fit the values', [{ ...RUN, outputs: [{ ...y, shape: [3, 2] }] }]],
  ['a size that is not a number', [{ ...RUN, outputs: [{ ...y, shape: [3, Number.NaN] }] }]],
  ['another datatype', [{ ...RUN, outputs: [{ ...y, data: Float64Array.of(3, 5, 7) }] }]],
  ['two outputs instead of one', [{ ...RUN, outputs: [y, y] }]],
  ['no outputs', [{ items: [0, 1], outputs: [] }]],
  ['a failure that only an input can have', [{ items: [0, 1], failure: { kind: 'input', message: '' } }]],
])('a batch of numbers with %s is refused', (_, runs) => {
  const ran = { kind: 'ran', id: 2, runs, timing: TIMING, use: null };

  expect(conversation(LOAD, NUMERIC).receive(ran, NOW)).toMatch(
    /^it sent "ran" with the number 2 in reply to "numericBatch": /,
  );
});

test('the runs of a batch of numbers can be in any order, and fail alone', () => {
  const failed = { items: [1], failure: { kind: 'inference', message: 'Div by 0' } };
  const first = { items: [0], outputs: [{ shape: [], data: Float32Array.of(3) }] };
  const ran = { kind: 'ran', id: 2, runs: [failed, first], timing: TIMING, use: null };

  expect(conversation(LOAD, NUMERIC).receive(ran, NOW)).toBeNull();
});

test('the answers of a version whose load has failed are refused; only its failures are accepted', () => {
  const failed = conversation(LOAD);
  failed.receive({ kind: 'loadFailed', id: 1, key: 'v', message: '' }, NOW);
  failed.ask({ ...BATCH, id: 2 }, ASKED_AT);
  const done = (result: unknown) =>
    failed.receive({ kind: 'done', id: 2, results: [result, result], timing: TIMING, use: null }, NOW);

  expect(done(ANSWER)).toMatch(/result 0 is neither a failure nor an answer/);
  expect(done({ failure: { kind: 'inference', message: '' } })).toBeNull();
});

test('batches are answered in order, and start once', () => {
  const two = conversation(LOAD, BATCH, BATCH);
  const start = { kind: 'started', id: 2, tokens: null };

  expect(two.receive({ kind: 'done', id: 3, results: [ANSWER, ANSWER], timing: TIMING, use: null }, NOW)).toMatch(
    /earlier batch/,
  );
  expect(two.receive(start, NOW)).toBeNull();
  expect(two.receive(start, NOW)).toMatch(/no start was expected/);
});

test.each([null, undefined, 7, 'ready', [], {}, { kind: 'ready', id: 1 }.kind])(
  'the value %p is no message',
  (value) => {
    expect(conversation(LOAD).receive(value, NOW)).not.toBeNull();
  },
);

describe('with the engine', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  const id = fc.integer({ min: 0, max: 6 });
  /** Well-formed messages. None of them is a valid answer, so no answer can be wrong. */
  const forged: fc.Arbitrary<unknown> = fc.oneof(
    fc.constant({ kind: 'ready' }),
    fc.record({ kind: fc.constant('loaded'), id, key: fc.constantFrom('v', 'w') }),
    fc.record({ kind: fc.constant('loadFailed'), id, key: fc.constant('w'), message: fc.constant('') }),
    fc.record({ kind: fc.constant('unloaded'), id, key: fc.constantFrom('v', 'w') }),
    fc.record({ kind: fc.constant('started'), id, tokens: fc.constantFrom(null, 1, -1, Number.NaN) }),
    fc.record({
      kind: fc.constant('done'),
      id,
      results: fc.constantFrom<readonly ItemResult[]>([], [{ answer: { kind: 'regression', value: 1, unit: null } }]),
      timing: fc.constant(TIMING),
    }),
    fc.record({
      kind: fc.constant('ran'),
      id,
      runs: fc.constantFrom<readonly NumericRun[]>([], [{ ...output, items: [1_000] }], [output, output]),
      timing: fc.constant(TIMING),
      use: fc.constant(null),
    }),
    fc.record({ kind: fc.constant('failed'), id, message: fc.constant('') }),
    fc.record({ kind: fc.constantFrom('examined', 'batchInvariance', 'providerChecked', 'unknown'), id }),
    fc.constantFrom(null, undefined, 0, 'done', []),
  );

  test('well-formed but wrong messages at any moment change no answer', async () => {
    const property = fc.asyncProperty(
      fc.scheduler(),
      fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 1, maxLength: 20 }),
      fc.array(fc.tuple(fc.nat(1_000), forged), { minLength: 1, maxLength: 3 }),
      async (scheduler, values, lies) => {
        const simulation = new Simulation({ workers: 2, scheduler });
        await inVirtualTime(simulation.engine.start(), scheduler);
        const answers = Promise.all(values.map((value) => settled(simulation.run(value))));
        const lying = (async () => {
          for (const [which, message] of lies) {
            await scheduler.schedule(Promise.resolve(), 'a lie');
            const { living } = simulation;
            living[which % living.length]?.events.onMessage(message);
          }
        })();
        const all = Promise.all([answers, lying]).then(([received]) => received);

        expect(await inVirtualTime(all, scheduler)).toEqual(values.map((value) => 2 * value + 1));
        expect(await inVirtualTime(settled(simulation.run(21)), scheduler)).toBe(43);
      },
    );

    await fc.assert(property, { numRuns: 200, seed: 20_261_125 });
  });

  test('a message that cannot be cloned fails its own request only', async () => {
    const simulation = new Simulation({ workers: 1 });
    await inVirtualTime(simulation.engine.start());
    const uncloneable = { ...itemOf(1), tensors: [{ name: 'x', data: () => 0 }] } as never;
    const connection = { caller: '', isClosed: false };

    const failed = simulation.engine.run(VERSION, uncloneable, { deadlineMs: 9_000, priority: 'NORMAL', connection });
    const first = inVirtualTime(failed.catch(({ name }: Error) => name));

    expect(await first).toBe('DataCloneError');
    expect(await inVirtualTime(settled(simulation.run(4)))).toBe(9);
  });
});
