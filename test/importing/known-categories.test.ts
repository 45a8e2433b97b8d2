/** Examples of columns whose values an encoder looks up: it fails for values that it does not know. */
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type GraphSpec, type NodeSpec, type ValueInfo } from '../support/onnx.js';

const CITIES = ['Berlin', 'Łódź'];

/** As skl2onnx exports OneHotEncoder with handle_unknown="error". */
function oneHot(from: string, categories: readonly (string | number)[]): NodeSpec[] {
  const strings = categories.filter((each) => typeof each === 'string');
  const list = strings.length > 0 ? { name: 'cats_strings', strings } : { name: 'cats_int64s', ints: categories };
  const attributes = [list, { name: 'zeros', int: 0 }] as NonNullable<NodeSpec['attributes']>;
  const hot = `${from}_hot`;
  return [
    { op: 'OneHotEncoder', domain: 'ai.onnx.ml', inputs: [from], outputs: [hot], attributes },
    { op: 'Reshape', inputs: [hot, 'shape2'], outputs: [`${from}_out`] },
  ];
}

/** As it exports OrdinalEncoder with handle_unknown="error", before an operator that looks up what the code stands for. */
function ordinal(from: string): NodeSpec[] {
  const attributes = [
    { name: 'keys_strings', strings: CITIES },
    { name: 'values_int64s', ints: [0, 1] },
  ];
  return [
    { op: 'LabelEncoder', domain: 'ai.onnx.ml', inputs: [from], outputs: [`${from}_code`], attributes },
    // The code of an unknown value is -1, twice as much is out of range.
    { op: 'Add', inputs: [`${from}_code`, `${from}_code`], outputs: [`${from}_twice`] },
    { op: 'Gather', inputs: ['numbers', `${from}_twice`], outputs: [`${from}_found`] },
    { op: 'Reshape', inputs: [`${from}_found`, 'shape1'], outputs: [`${from}_out`] },
  ];
}

function graph(inputs: readonly ValueInfo[], nodes: readonly NodeSpec[], out: string): GraphSpec {
  return {
    inputs,
    outputs: [{ name: 'variable', type: 'FP32', shape: ['N', 1] }],
    ints: [
      { name: 'shape1', shape: [2], data: [-1, 1] },
      { name: 'shape2', shape: [2], data: [-1, 2] },
      { name: 'i0', shape: [1], data: [0] },
      { name: 'i1', shape: [1], data: [1] },
    ],
    floats: [
      { name: 'weights', shape: [2, 1], data: [10, 20] },
      { name: 'numbers', shape: [3], data: [10, 0, 20] },
    ],
    nodes: [
      ...nodes,
      nodes.some(({ op }) => op === 'OneHotEncoder')
        ? { op: 'MatMul', inputs: [out, 'weights'], outputs: ['variable'] }
        : { op: 'Identity', inputs: [out], outputs: ['variable'] },
    ],
  };
}

const column = (name: string, type: ValueInfo['type'] = 'BYTES'): ValueInfo => ({ name, type, shape: ['N', 1] });
const take = (from: string, place: string, to: string): NodeSpec => ({
  op: 'ArrayFeatureExtractor',
  domain: 'ai.onnx.ml',
  inputs: [from, place],
  outputs: [to],
});
const gather: NodeSpec = {
  op: 'Gather',
  inputs: ['both', 'i1'],
  outputs: ['city1'],
  attributes: [{ name: 'axis', int: 1 }],
};
const concat: NodeSpec = {
  op: 'Concat',
  inputs: ['name', 'city'],
  outputs: ['both'],
  attributes: [{ name: 'axis', int: 1 }],
};
const TWO_TEXTS = 'columns: [{ name: name, type: text }, { name: city, type: text }]\n';

const MODELS: Readonly<Record<string, { graph: GraphSpec; yaml?: string; row: Readonly<Record<string, unknown>> }>> = {
  'one-hot': { graph: graph([column('city')], oneHot('city', CITIES), 'city_out'), row: { city: 'Berlin' } },
  'one-hot-integers': {
    graph: graph([column('rooms', 'INT64')], oneHot('rooms', [3, 4]), 'rooms_out'),
    row: { rooms: 3 },
  },
  'one-hot-integers-in-range': {
    graph: graph([column('rooms', 'INT64')], oneHot('rooms', [3, 4]), 'rooms_out'),
    yaml: 'columns: [{ name: rooms, type: integer, minimum: 4 }]\n',
    row: { rooms: 4 },
  },
  ordinal: { graph: graph([column('city')], ordinal('city'), 'city_out'), row: { city: 'Berlin' } },
  'one-input': {
    graph: graph(
      [{ name: 'x', type: 'BYTES', shape: ['N', 2] }],
      [take('x', 'i1', 'city'), ...oneHot('city', CITIES)],
      'city_out',
    ),
    yaml: TWO_TEXTS,
    row: { name: 'a', city: 'Berlin' },
  },
  joined: {
    graph: graph([column('name'), column('city')], [concat, gather, ...oneHot('city1', CITIES)], 'city1_out'),
    row: { name: 'a', city: 'Berlin' },
  },
  listed: {
    graph: graph([column('city')], oneHot('city', CITIES), 'city_out'),
    yaml: 'columns: [{ name: city, type: category, categories: [Paris, Łódź] }]\n',
    row: { city: 'Łódź' },
  },
  written: {
    graph: graph([column('city')], oneHot('city', CITIES), 'city_out'),
    yaml: 'columns: [{ name: city, type: text, example: Łódź }]\n',
    row: { city: 'Łódź' },
  },
};

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  for (const [name, { graph, yaml = '' }] of Object.entries(MODELS))
    await store.write(name, { '1/model.onnx': encodeModel(graph), 'model.yaml': `task: tabular-regression\n${yaml}` });
  app = await startTestApp({ modelStore: store.folder, workers: 1 });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

test.each(Object.keys(MODELS))('the generated example of %s has values that its encoder knows', async (name) => {
  const { version }: Data = await app.query(
    'query ($ref: VersionRef!) { version(ref: $ref) { state stateReason signature { example } } }',
    { ref: `${name}:1` },
  );

  expect(version).toEqual({
    state: 'READY',
    stateReason: null,
    signature: { example: { row: MODELS[name]?.row } },
  });
});
