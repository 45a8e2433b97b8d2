/** Which ONNX files are refused before any native code reads them, and with which reasons. */
import { readFileSync } from 'node:fs';
import { PbfWriter } from 'pbf';
import { GRAPH_LIMITS, scanGraph } from '#src/onnx/graph-scan.js';
import { COUNTING_LOOP, CRASHING_DIVISION, encodeModel, MEMORY_BOMB } from '../support/onnx.js';
import { below, seeded } from '../support/seeded-random.js';

type Message = (writer: PbfWriter) => void;

function bytes(message: Message): Uint8Array {
  const writer = new PbfWriter();
  message(writer);
  return writer.finish();
}

const part =
  (field: number, message: Message): Message =>
  (w) =>
    w.writeBytesField(field, bytes(message));
const text =
  (field: number, value: string): Message =>
  (w) =>
    w.writeStringField(field, value);
const number =
  (field: number, value: number): Message =>
  (w) =>
    w.writeVarintField(field, value);
const raw =
  (field: number, value: Uint8Array): Message =>
  (w) =>
    w.writeBytesField(field, value);
const all =
  (...messages: Message[]): Message =>
  (w) => {
    for (const message of messages) message(w);
  };

const FLOAT = 1;
const opset = (domain = '') => part(8, all(text(1, domain), number(2, 17)));
/** Of a scalar: a shape without dimensions. */
const tensorType = (element: number): Message =>
  part(
    1,
    all(
      number(1, element),
      part(2, () => {}),
    ),
  );
const input = (name: string, type: Message = tensorType(FLOAT)) => part(11, all(text(1, name), part(2, type)));
const output = (name: string, type: Message = tensorType(FLOAT)) => part(12, all(text(1, name), part(2, type)));
const node = (...args: Parameters<typeof nodeContent>) => part(1, nodeContent(...args));
const functionOf = (name: string, domain: string, ...args: Parameters<typeof nodeContent>) =>
  part(25, all(text(1, name), text(10, domain), part(7, nodeContent(...args))));
const nodeContent = (op: string, inputs: string[], outputs: string[], ...more: Message[]) =>
  all(...inputs.map((name) => text(1, name)), ...outputs.map((name) => text(2, name)), text(4, op), ...more);
const attribute = (...content: Message[]) => part(5, all(text(1, 'value'), ...content));
const tensor = (name: string, type: number, dims: number[], ...data: Message[]) =>
  all(...dims.map((size) => number(1, size)), number(2, type), text(8, name), ...data);
const initializer = (...args: Parameters<typeof tensor>) => part(5, tensor(...args));
const int64 = (value: bigint) => raw(9, new Uint8Array(BigInt64Array.of(value).buffer));
const bytesOf = (count: number) => raw(9, new Uint8Array(count));

const SOUND = all(input('x'), output('y'), node('Identity', ['x'], ['y']));
const model = (graph: Message, ...more: Message[]) => bytes(all(number(1, 8), opset(), part(7, graph), ...more));
const withPart = (...more: Message[]) => model(all(SOUND, ...more));
const loop = (trips: string, condition: string, ...more: Message[]) =>
  withPart(node('Loop', [trips, condition], ['z'], ...more));

const nested = (depth: number): Message => {
  let graph: Message = node('Identity', ['x'], ['y']);
  for (let i = 0; i < depth; i++) graph = node('If', ['c'], ['y'], attribute(part(6, graph)));
  return graph;
};

const REFUSED: Record<string, [Uint8Array, RegExp]> = {
  'nothing at all': [new Uint8Array(), /no ir_version/],
  'a text file': [Buffer.from('this is not a model, whatever its name says'), /not a complete ONNX file|no ir_version/],
  'a file without a graph': [bytes(all(number(1, 8), opset())), /has no graph/],
  'a graph without outputs': [model(input('x')), /has no output/],
  'a file without an opset': [bytes(all(number(1, 8), part(7, SOUND))), /no opset_import/],
  'a file without an IR version': [bytes(all(opset(), part(7, SOUND))), /no ir_version/],
  'a length beyond the end': [Uint8Array.of(0x3a, 0xff, 0xff, 0x03, 0x00), /claims 65535 bytes, but only 1 remain/],
  'a negative length': [Uint8Array.of(0x3a, ...new Uint8Array(9).fill(0xff), 0x01), /a length is negative/],
  'a wire type that does not exist': [Uint8Array.of(0x0f), /wire type 7 does not exist/],
  'a varint of more than 10 bytes': [new Uint8Array(11).fill(0xff), /more than 10 bytes/],
  'a truncated varint': [Uint8Array.of(0x08, 0xff), /ends inside a varint/],
  'an input without a shape': [
    model(all(input('x', part(1, number(1, FLOAT))), output('y'), node('Identity', ['x'], ['y']))),
    /input "x" has no shape: export it with one/,
  ],
  'an unknown operator domain': [
    withPart(node('Evil', ['x'], ['z'], text(7, 'com.evil'))),
    /node "z" \(Evil\) uses the unsupported operator domain "com\.evil"/,
  ],
  'external data': [
    withPart(
      initializer('W', FLOAT, [4], number(14, 1), part(13, all(text(1, 'location'), text(2, '../../etc/passwd')))),
    ),
    /initializer "W" keeps its data in the file "..\/..\/etc\/passwd", which cannot be read/,
  ],
  'external data in an attribute': [
    withPart(
      node(
        'Constant',
        [],
        ['k'],
        attribute(part(5, tensor('k', FLOAT, [4], part(13, all(text(1, 'location'), text(2, 'weights.bin')))))),
      ),
    ),
    /node "k" \(Constant\): a tensor keeps its data in the file "weights.bin"/,
  ],
  'external data in a subgraph': [
    withPart(node('If', ['c'], ['z'], attribute(part(6, initializer('W', FLOAT, [4], number(14, 1)))))),
    /initializer "W" keeps its data/,
  ],
  'external data in a sparse initializer': [
    withPart(part(15, part(1, tensor('S', FLOAT, [4], number(14, 1))))),
    /sparse initializer keeps its data/,
  ],
  'external data in a function': [
    model(
      SOUND,
      functionOf('F', 'own', 'Constant', [], ['k'], attribute(part(5, tensor('k', FLOAT, [4], number(14, 1))))),
    ),
    /keeps its data in the file/,
  ],
  'a shape that requires more bytes than the tensor has': [
    withPart(initializer('W', FLOAT, [4_000_000_000], bytesOf(64))),
    /has 64 bytes; its shape \[4000000000\] requires 16000000000/,
  ],
  'a shape that requires fewer bytes': [
    withPart(initializer('W', FLOAT, [2], bytesOf(12))),
    /has 12 bytes; .* requires 8/,
  ],
  'typed data that does not fit its shape': [
    withPart(initializer('W', FLOAT, [3], (w) => w.writePackedFloat(4, [1, 2]))),
    /has 2 elements; .* requires 3/,
  ],
  'a tensor without data': [withPart(initializer('W', FLOAT, [3])), /has 0 elements/],
  'a negative dimension': [
    withPart(
      part(
        5,
        all((w) => w.writeVarintField(1, -4), number(2, FLOAT), text(8, 'W'), bytesOf(4)),
      ),
    ),
    /negative dimension in its shape \[-4\]/,
  ],
  'both raw and typed data': [
    withPart(initializer('W', FLOAT, [1], bytesOf(4), (w) => w.writePackedFloat(4, [1]))),
    /both raw and typed data/,
  ],
  'strings as raw data': [
    withPart(initializer('W', 8, [1], bytesOf(4))),
    /raw data, which is not allowed for data type 8/,
  ],
  'more than 64 dimensions': [
    withPart(initializer('W', FLOAT, Array(65).fill(1), bytesOf(4))),
    /more than 64 dimensions/,
  ],
  'the same initializer twice': [
    withPart(initializer('W', FLOAT, [1], bytesOf(4)), initializer('W', FLOAT, [1], bytesOf(4))),
    /initializer "W" is defined twice/,
  ],
  'an optional output': [
    model(all(input('x'), output('y'), output('o', part(9, part(1, tensorType(FLOAT)))))),
    /output "o" is optional/,
  ],
  'an optional input': [withPart(input('o', part(9, part(1, tensorType(FLOAT))))), /input "o" is optional/],
  'a sequence as input': [
    withPart(input('s', part(4, part(1, tensorType(FLOAT))))),
    /input "s" is a sequence; inputs must be tensors/,
  ],
  'a map as input': [withPart(input('m', part(5, number(1, 7)))), /input "m" is a map/],
  'a graph without a tensor among its outputs': [
    model(all(input('x'), output('s', part(4, part(1, tensorType(FLOAT)))))),
    /none of the graph outputs is a tensor/,
  ],
  'bfloat16 outputs': [
    withPart(output('b', tensorType(16))),
    /output "b" is bfloat16, which ONNX Runtime for Node does not support/,
  ],
  'float8 inputs': [withPart(input('f', tensorType(17))), /input "f" is float8e4m3fn/],
  'complex outputs': [withPart(output('c', tensorType(14))), /is complex64/],
  'int4 inputs': [withPart(input('i', tensorType(22))), /is int4/],
  'a Loop without trip count and condition': [loop('', ''), /neither a trip count nor a condition/],
  'a name of 70,000 bytes': [withPart(node('x'.repeat(70_000), ['x'], ['z'])), /a node has a name of 70000 bytes/],
};
REFUSED['a Loop of 9e12 iterations'] = [
  model(all(SOUND, initializer('M', 7, [], int64(9_000_000_000_000n)), node('Loop', ['M', ''], ['z']))),
  /node "z" \(Loop\) runs 9000000000000 iterations; .* 10000000/,
];
REFUSED['a Loop with a constant condition'] = [
  model(
    all(
      SOUND,
      initializer('M', 7, [1], int64(9_000_000_000_000n)),
      initializer('go', 9, [], bytesOf(1)),
      node('Loop', ['M', 'go'], ['z']),
    ),
  ),
  /runs 9000000000000 iterations/,
];
REFUSED['a Loop whose trip count is the output of a Constant node'] = [
  withPart(
    node('Constant', [], ['M'], attribute(part(5, tensor('M', 7, [], int64(10_000_001n))))),
    node('Loop', ['M'], ['z']),
  ),
  /runs 10000001 iterations/,
];

REFUSED['a Loop whose trip count is in a data file'] = [
  model(
    all(
      SOUND,
      initializer('M', 7, [], part(13, all(text(1, 'location'), text(2, 'm')))),
      node('Loop', ['M', ''], ['z']),
    ),
  ),
  /has its trip count in a data file/,
];

test.each(Object.entries(REFUSED))('refuses %s', (_, [file, reason]) => {
  expect(scanGraph(file).join('\n')).toMatch(reason);
});

test('refuses deeply nested subgraphs before they exhaust the stack', () => {
  expect(scanGraph(model(all(SOUND, nested(GRAPH_LIMITS.maxDepth + 1))))).toEqual([
    expect.stringMatching(/more than 16 levels deep/),
  ]);
  expect(scanGraph(model(all(SOUND, nested(1_000))))).toEqual([expect.stringMatching(/more than 16 levels deep/)]);
  expect(scanGraph(model(all(SOUND, nested(GRAPH_LIMITS.maxDepth - 2))))).toEqual([]);
});

test('refuses more than 100,000 nodes', () => {
  const nodes = Array.from({ length: GRAPH_LIMITS.maxNodes }, () => node('Identity', ['x'], ['z']));

  expect(scanGraph(model(all(SOUND, ...nodes)))).toEqual(['the file has more than 100000 nodes']);
});

test.each([
  [
    'a ZipMap output next to a tensor output',
    model(all(SOUND, output('probabilities', part(4, part(1, part(5, number(1, 7))))))),
  ],
  [
    'a function that the file defines',
    model(
      all(SOUND, node('F', ['x'], ['z'], text(7, 'own'))),
      opset('own'),
      functionOf('F', 'own', 'Identity', ['a'], ['b']),
    ),
  ],
  ['a Loop with a computed condition', loop('', 'x')],
  ['a Loop whose trip count is a graph input', loop('x', '')],
  ['an empty tensor', withPart(initializer('W', FLOAT, [0]))],
  [
    'packed dims',
    withPart(
      part(
        5,
        all((w) => w.writePackedVarint(1, [2, 2]), number(2, FLOAT), text(8, 'W'), bytesOf(16)),
      ),
    ),
  ],
  ['int32 data for small types', withPart(initializer('W', 3, [3], (w) => w.writePackedVarint(5, [1, 2, 300])))],
  ['strings', withPart(initializer('W', 8, [2], text(6, 'a'), text(6, 'b')))],
  [
    'imported domains that no node uses, as in files saved by ONNX Runtime',
    model(SOUND, ...['ai.onnx.training', 'com.microsoft.nchwc', 'org.pytorch.aten'].map((domain) => opset(domain))),
  ],
  ['operators of quantized exports', withPart(node('MatMulNBits', ['x'], ['z'], text(7, 'com.microsoft')))],
])('accepts %s', (_, file) => {
  expect(scanGraph(file)).toEqual([]);
});

const REAL = ['breast-cancer-forest/1', 'fashion-mlp/1', 'spam-filter/2'].map(
  (version) => [version, readFileSync(`model-store/${version}/model.onnx`)] as const,
);

test.each(REAL)('accepts the real model %s', (_, file) => {
  expect(scanGraph(file)).toEqual([]);
});

test('accepts graphs that fail only when they run: the probe finds those', () => {
  expect([CRASHING_DIVISION, COUNTING_LOOP, MEMORY_BOMB].flatMap((graph) => scanGraph(encodeModel(graph)))).toEqual([]);
});

test('never throws on files with a changed byte or a missing end', () => {
  const random = seeded(20_261_124);
  const small = encodeModel(COUNTING_LOOP);
  const fashion = REAL[1]?.[1] ?? Buffer.alloc(0);
  let refused = 0;
  for (const file of [small, fashion]) {
    for (let i = 0; i < 2_000; i++) {
      const damaged = Buffer.from(i % 2 ? file : file.subarray(0, below(random, file.length)));
      if (i % 2) damaged[below(random, damaged.length)] = below(random, 256);
      if (scanGraph(damaged).length > 0) refused++;
    }
  }

  expect(refused).toBeGreaterThan(1_500);
});

test('trees of several targets that were all given to the first one are refused', () => {
  const trees = (ids: readonly number[]) =>
    encodeModel({
      inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
      outputs: [{ name: 'y', type: 'FP32', shape: ['N', 3] }],
      nodes: [
        {
          op: 'TreeEnsembleRegressor',
          domain: 'ai.onnx.ml',
          inputs: ['x'],
          outputs: ['y'],
          attributes: [
            { name: 'n_targets', int: 3 },
            { name: 'target_ids', ints: ids },
          ],
        },
      ],
    });

  expect(scanGraph(trees([0, 1, 2]))).toEqual([]);
  expect(scanGraph(trees([0, 0, 0]))).toEqual([
    'node "y" (TreeEnsembleRegressor) has 3 targets, but all of its trees are of the first one, so that its numbers are wrong: export one model for each target, such as MultiOutputRegressor of scikit-learn around XGBRegressor, and join the graphs',
  ]);
});

test('trees of several targets that CatBoost exported as a classifier without classes are refused', () => {
  const model = encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['N', 2] }],
    nodes: [{ op: 'TreeEnsembleClassifier', domain: 'ai.onnx.ml', inputs: ['x'], outputs: ['label', 'y'] }],
  });

  expect(scanGraph(model)).toEqual([
    'node "label" (TreeEnsembleClassifier) has no classes, as CatBoost exports regressors of several targets (MultiRMSE, MultiQuantile): train and export one model for each target, and join the graphs, for example with onnx.compose.merge_models, after del model.metadata_props[:]',
  ]);
});
