/** `Version.verification`: what the golden cases of a version have shown. */
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type GraphSpec, identity, type TypeName } from '../support/onnx.js';

const LOG: GraphSpec = {
  inputs: [{ name: 'x', type: 'FP32', shape: ['N'] }],
  outputs: [{ name: 'y', type: 'FP32', shape: ['N'] }],
  nodes: [{ op: 'Log', inputs: ['x'], outputs: ['y'] }],
};

/** Returns the label in the position of the largest value. */
const CHOICE: GraphSpec = {
  inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
  outputs: [{ name: 'best', type: 'INT64', shape: ['N'] }],
  nodes: [
    {
      op: 'ArgMax',
      inputs: ['x'],
      outputs: ['best'],
      attributes: [
        { name: 'axis', int: 1 },
        { name: 'keepdims', int: 0 },
      ],
    },
  ],
};

const CHOICE_YAML = `task: tabular-classification
columns: [{ name: p, type: number, example: 1 }, { name: q, type: number, example: 2 }]`;

interface Case {
  readonly input: unknown;
  readonly expect: unknown;
}

function tensorCase(datatype: string, data: readonly unknown[], expected: readonly unknown[]): Case {
  const input = { tensors: [{ name: 'x', datatype, shape: [data.length], data }] };
  return { input, expect: { tensors: { y: expected } } };
}

const golden = (cases: readonly Case[]) => JSON.stringify({ source: 'NumPy 2.4.0', tolerance: 1e-3, cases });

let store: TestStore;
let app: TestApp;
let versions: Readonly<Record<string, Data>>;
beforeAll(async () => {
  store = await createStore();
  const write = (name: string, graph: GraphSpec, cases: readonly Case[], yaml = '') =>
    store.write(name, { '1/model.onnx': encodeModel(graph), '1/golden.json': golden(cases), 'model.yaml': yaml });
  const echo = (type: TypeName) => identity('x', type, ['N']);
  await store.write('unverified', { '1/model.onnx': encodeModel(echo('FP32')) });
  await write('near', echo('FP32'), [
    tensorCase('FP32', [0.5, 1], [0.5, 1]),
    tensorCase('FP32', [0.25, 1000], [0.2505, 1000.25]),
  ]);
  await write('far', echo('FP32'), [tensorCase('FP32', [0.5], [0.5]), tensorCase('FP32', [0.5], [0.502])]);
  await write('labels', CHOICE, [{ input: { row: { p: 1, q: 5 } }, expect: { label: '1' } }], CHOICE_YAML);
  await write('not-finite', LOG, [tensorCase('FP32', [-1, 0, 1], [null, '-Infinity', 0])]);
  await write('finite-expected', LOG, [tensorCase('FP32', [-1], [0])]);
  await write('nan-expected', LOG, [tensorCase('FP32', [1], [null])]);
  await write('ids', echo('INT64'), [tensorCase('INT64', ['9007199254740993'], ['9007199254740993'])]);
  await write('other-ids', echo('INT64'), [tensorCase('INT64', ['9007199254740993'], ['9007199254740992'])]);
  await write('words', echo('BYTES'), [tensorCase('BYTES', ['a', 'ä'], ['a', 'ä'])]);
  await write('other-words', echo('BYTES'), [tensorCase('BYTES', ['a'], ['b'])]);
  await store.write('python', {
    '1/model.onnx': encodeModel(LOG),
    '1/golden.json': golden([tensorCase('FP32', [-1], [null])]).replace('null', 'NaN'),
  });
  app = await startTestApp({ modelStore: store.folder });
  const { models } = await app.query(
    '{ models(first: 100) { nodes { name versions { nodes { state stateReason verification { cases source tolerance maxDifference summary } } } } } }',
  );
  versions = Object.fromEntries(models.nodes.map(({ name, versions }: Data) => [name, versions.nodes[0]]));
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

test('a version with golden cases says how many, of which framework, and how large the largest difference is', () => {
  const { cases, source, tolerance, maxDifference, summary } = versions['near'].verification;

  expect({ cases, source, tolerance }).toEqual({ cases: 2, source: 'NumPy 2.4.0', tolerance: 1e-3 });
  // That of 0.25 is absolute; that of 1,000 is relative, and smaller.
  expect(maxDifference).toBeCloseTo(0.0005, 10);
  expect(summary).toBe(
    'Each answer to 2 golden cases is that of NumPy 2.4.0, within 0.001; the largest difference is 0.0005.',
  );
});

test('a version without golden cases says that it was not compared', () => {
  expect(versions['unverified']).toEqual({
    state: 'READY',
    stateReason: null,
    verification: {
      cases: 0,
      source: null,
      tolerance: null,
      maxDifference: null,
      summary: 'Its answers were not compared with those of its source framework.',
    },
  });
});

test('a version whose import failed has no verification', () => {
  expect(versions['far']).toEqual({
    state: 'FAILED',
    stateReason: 'golden.json: case 1 differs from NumPy 2.4.0: number 0 of output "y" is 0.5, expected 0.502',
    verification: null,
  });
});

test('golden cases that compare labels only have no largest difference', () => {
  expect(versions['labels'].verification).toMatchObject({
    cases: 1,
    maxDifference: null,
    summary: 'Each answer to 1 golden case is that of NumPy 2.4.0, within 0.001.',
  });
});

test.each(['not-finite', 'ids', 'words'])(
  'golden cases compare NaN, infinities, strings and long integers: %s',
  (name) => {
    expect(versions[name]).toMatchObject({ state: 'READY', verification: { cases: 1 } });
  },
);

test.each([
  ['finite-expected', 'number 0 of output "y" is NaN, expected 0'],
  ['nan-expected', 'number 0 of output "y" is 0, expected NaN'],
  ['other-ids', 'value 0 of output "y" is 9007199254740993, expected 9007199254740992'],
  ['other-words', 'value 0 of output "y" is a, expected b'],
])('%s: a difference fails the version', (name, difference) => {
  expect(versions[name].stateReason).toBe(`golden.json: case 0 differs from NumPy 2.4.0: ${difference}`);
});

test('NaN as Python writes it into golden.json is refused with what to write', () => {
  expect(versions['python'].stateReason).toMatch(/^golden\.json is not valid JSON: .*: write null and "Infinity"/);
});
