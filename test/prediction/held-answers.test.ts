/** What the server keeps of the answers of a predictMany until its response is sent. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Engine } from '#src/engine/engine.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { floats, node } from '../support/hugging-face/folder.ts';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel } from '../support/onnx.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const VALUES = 262_144;
const INPUTS = 12;
/** The answer that arrives, and those of the batches that are on their way. */
const MOST_HELD = 4;

let app: TestApp;
let models: TestStore;
beforeAll(async () => {
  models = await createStore();
  // One row a run, so that answers arrive one after another; each has a megabyte.
  const graph = {
    inputs: [floats('x', [1, 1])],
    outputs: [floats('y', [1, VALUES])],
    ints: [{ name: 'shape', shape: [2], data: [1, VALUES] }],
    nodes: [node('Expand', ['x', 'shape'], 'y')],
  };
  await models.write('wide', { '1/model.onnx': encodeModel(graph) });
  app = await startTestApp({ modelStore: models.folder });
});
afterAll(async () => {
  await app.stop();
  await models.remove();
});

interface Watched {
  readonly data: Data;
  readonly errors: Data;
  /** Runs that had ended when the response arrived. */
  readonly runs: number;
  /** Answers of the engine in memory at the same time, at most. */
  readonly held: number;
}

async function watched(fields: string, record: boolean): Promise<Watched> {
  const { engine } = app.app;
  const run = engine.run.bind(engine);
  const answers: WeakRef<object>[] = [];
  let held = 0;
  const watchedRun: Engine['run'] = async (...args) => {
    const outcome = await run(...args);
    for (const result of outcome.results)
      if ('answer' in result && result.answer.kind === 'tensors')
        answers.push(new WeakRef(result.answer.tensors[0]?.data as object));
    // A reference that was just made keeps its object until the next turn.
    await nextTurn();
    if (answers.length % 4 > 0) return outcome;
    collectGarbage();
    held = Math.max(held, answers.filter((answer) => answer.deref() !== undefined).length);
    return outcome;
  };
  engine.run = watchedRun;
  const inputs = Array.from({ length: INPUTS }, (_, i) => ({
    tensors: [{ name: 'x', datatype: 'FP32', shape: [1, 1], data: [i] }],
  }));
  const { data, errors } = await app.send(`mutation ($input: PredictManyInput!) { ${fields} }`, {
    input: { model: 'wide', inputs, record },
  });
  engine.run = run;
  return { data, errors, runs: answers.length, held };
}

test('answers that are neither selected nor recorded are not kept', async () => {
  const { data, errors, runs, held } = await watched(
    'predictMany(input: $input) { results { prediction { id truncated } problem { message } } }',
    false,
  );

  expect(errors).toBeUndefined();
  expect(data.predictMany.results.every(({ prediction }: Data) => prediction.id && !prediction.truncated)).toBe(true);
  expect([runs, held <= MOST_HELD]).toEqual([INPUTS, true]);
});

test('answers that are not selected are recorded whole', async () => {
  const { data, runs } = await watched('a: predictMany(input: $input) { results { prediction { id } } }', true);

  const ids = data.a.results.map(({ prediction }: Data) => prediction.id);
  const last = await app.query(
    'query ($id: ID!) { prediction(id: $id) { output { ... on Tensors { tensors { shape } } } } }',
    {
      id: ids.at(-1),
    },
  );
  expect(last.prediction.output.tensors).toEqual([{ shape: [1, VALUES] }]);
  expect(runs).toBe(INPUTS);
});

test('of selected answers, only what the response holds is kept, up to its limit', async () => {
  const { data, errors, runs, held } = await watched(
    'predictMany(input: $input) { results { prediction { id output { ... on Tensors { tensors { base64 } } } } } }',
    false,
  );

  const outputs = data.predictMany.results.filter(({ prediction }: Data) => prediction.output?.tensors[0].base64);
  expect(outputs).toHaveLength(Math.floor((16 * 1024 * 1024) / (4 * Math.ceil((4 * VALUES) / 3) + 2)));
  expect(data.predictMany.results.every(({ prediction }: Data) => prediction.id)).toBe(true);
  expect(errors).toMatchObject([{ extensions: { code: 'RESPONSE_TOO_LARGE' } }]);
  expect([runs, held <= MOST_HELD]).toEqual([INPUTS, true]);
});

test.each([
  'predictMany(input: $input) { __typename }',
  'predictMany(input: $input) { ... @include(if: false) { results { replayed } } problem { message } }',
])('a request that selects no results is answered after all inputs have run, and keeps none: %s', async (fields) => {
  const { errors, runs, held } = await watched(fields, false);

  expect(errors).toBeUndefined();
  expect([runs, held <= MOST_HELD]).toEqual([INPUTS, true]);
});
