/**
 * Mutants of ONNX files that are still protobuf messages: fields are dropped, repeated, moved, exchanged between graphs, and
 * have values and names that a careless reader would trust.
 */
import { PbfReader, PbfWriter } from 'pbf';
import { COUNTING_LOOP, CRASHING_DIVISION, encodeModel, type GraphSpec, MEMORY_BOMB } from '../../support/onnx.ts';
import { below, pick, type Random } from '../../support/seeded-random.ts';

/** A field of a message: a number, bytes, or a message of its own. */
interface Field {
  readonly number: number;
  readonly wireType: number;
  readonly value: number;
  readonly bytes: Uint8Array;
  readonly message: readonly Field[] | null;
}

/** The fields of onnx.proto that are messages, by the kind of message around them. */
const MESSAGES: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  model: { 7: 'graph', 8: 'opset', 14: 'entry', 25: 'function' },
  graph: { 1: 'node', 5: 'tensor', 11: 'value', 12: 'value', 13: 'value', 15: 'sparse' },
  function: { 7: 'node', 9: 'opset' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: { 13: 'entry' },
  value: { 2: 'type' },
  type: { 1: 'tensorType', 4: 'sequence', 5: 'map' },
  sequence: { 1: 'type' },
  map: { 2: 'type' },
  tensorType: { 2: 'shape' },
  shape: { 1: 'dimension' },
};
const [VARINT, FIXED_64, LENGTH, FIXED_32] = [0, 1, 2, 5];

function fieldsOf(bytes: Uint8Array, kind: string | undefined): Field[] {
  const reader = new PbfReader(bytes);
  const fields: Field[] = [];
  while (reader.pos < bytes.length) {
    const tag = reader.readVarint();
    const [number, wireType] = [Math.floor(tag / 8), tag % 8];
    const none = { number, wireType, value: 0, bytes: new Uint8Array(), message: null };
    if (wireType === VARINT) fields.push({ ...none, value: reader.readVarint(true) });
    else {
      const length = wireType === LENGTH ? reader.readVarint() : wireType === FIXED_64 ? 8 : 4;
      const content = bytes.subarray(reader.pos, reader.pos + length);
      reader.pos += length;
      const inner = kind === undefined ? undefined : MESSAGES[kind]?.[number];
      fields.push({ ...none, bytes: content, message: inner === undefined ? null : fieldsOf(content, inner) });
    }
  }
  return fields;
}

function encode(fields: readonly Field[]): Uint8Array {
  const writer = new PbfWriter();
  for (const { number, wireType, value, bytes, message } of fields) {
    if (wireType === VARINT) writer.writeVarintField(number, value);
    else if (wireType === LENGTH) writer.writeBytesField(number, message ? encode(message) : bytes);
    else {
      writer.writeVarint(number * 8 + wireType);
      for (const byte of bytes) writer.writeVarint(byte & 0x7f);
    }
  }
  return writer.finish();
}

/** y = x · w + b, and If with a branch for each sign. */
const BRANCHES: GraphSpec = {
  inputs: [
    { name: 'x', type: 'FP32', shape: ['N', 2] },
    { name: 'c', type: 'BOOL', shape: [] },
  ],
  outputs: [{ name: 'y', type: 'FP32', shape: ['N', 2] }],
  nodes: [
    { op: 'MatMul', inputs: ['x', 'w'], outputs: ['product'] },
    { op: 'Add', inputs: ['product', 'b'], outputs: ['sum'] },
    {
      op: 'If',
      inputs: ['c'],
      outputs: ['y'],
      attributes: ['then_branch', 'else_branch'].map((name) => ({
        name,
        graph: {
          inputs: [],
          outputs: [{ name: `of_${name}`, type: 'FP32', shape: ['N', 2] }],
          nodes: [{ op: name === 'then_branch' ? 'Relu' : 'Neg', inputs: ['sum'], outputs: [`of_${name}`] }],
        },
      })),
    },
  ],
  floats: [
    { name: 'w', shape: [2, 2], data: [1, 2, 3, 4] },
    { name: 'b', shape: [2], data: [1, -1], file: { location: 'weights.bin', offset: 0 } },
  ],
};

const TREES: GraphSpec = {
  inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
  outputs: [{ name: 'y', type: 'FP32', shape: ['N', 1] }],
  nodes: [
    {
      op: 'TreeEnsembleRegressor',
      domain: 'ai.onnx.ml',
      inputs: ['x'],
      outputs: ['y'],
      attributes: [
        { name: 'n_targets', int: 1 },
        { name: 'nodes_treeids', ints: [0, 0, 0] },
        { name: 'nodes_nodeids', ints: [0, 1, 2] },
        { name: 'nodes_featureids', ints: [0, 0, 0] },
        { name: 'nodes_values', floats: [0.5, 0, 0] },
        { name: 'nodes_modes', strings: ['BRANCH_LEQ', 'LEAF', 'LEAF'] },
        { name: 'nodes_truenodeids', ints: [1, 0, 0] },
        { name: 'nodes_falsenodeids', ints: [2, 0, 0] },
        { name: 'target_treeids', ints: [0, 0] },
        { name: 'target_nodeids', ints: [1, 2] },
        { name: 'target_ids', ints: [0, 0] },
        { name: 'target_weights', floats: [1, 2] },
      ],
    },
  ],
};

const BASES = [COUNTING_LOOP, CRASHING_DIVISION, MEMORY_BOMB, BRANCHES, TREES].map((graph) =>
  fieldsOf(encodeModel(graph), 'model'),
);
const NUMBERS = [0, 1, -1, 2, 7, 8, 16, 64, 127, 255, 65_535, 2 ** 31 - 1, -(2 ** 31), 2 ** 32, 2 ** 40, 9e15, -9e15];
const TEXTS = [
  '',
  'x',
  'y',
  'Loop',
  'If',
  'Scan',
  'Gather',
  'Reshape',
  'ConstantOfShape',
  'Tile',
  'Resize',
  'Conv',
  'ai.onnx.ml',
];
const MORE_TEXTS = [
  'com.microsoft',
  'location',
  '../../etc/passwd',
  '/proc/self/mem',
  '\0',
  '%s%n',
  'é💥',
  '__proto__',
];

/** A mutant with one to four changes. It depends on nothing but `random`. */
export function mutant(random: Random): Uint8Array {
  let fields: readonly Field[] = pick(random, BASES);
  for (let i = below(random, 4); i >= 0; i--) fields = change(random, fields);
  return encode(fields);
}

/** The message with one change, in it or in a message that it contains. */
function change(random: Random, fields: readonly Field[]): readonly Field[] {
  if (fields.length === 0) return [randomField(random)];
  const at = below(random, fields.length);
  const field = fields[at] as Field;
  if (field.message && random() < 0.8) return fields.with(at, { ...field, message: change(random, field.message) });
  const other = pick(random, fields);
  switch (below(random, 6)) {
    case 0:
      return fields.toSpliced(at, 1);
    case 1:
      return fields.toSpliced(at, 0, ...Array.from({ length: 1 + below(random, 3) }, () => field));
    case 2:
      return fields.with(at, other);
    case 3:
      return fields.with(at, { ...field, number: 1 + below(random, 26) });
    case 4:
      return [...fields, randomPart(random)];
    default:
      return fields.with(at, otherValue(random, field));
  }
}

function otherValue(random: Random, field: Field): Field {
  if (field.wireType === VARINT) return { ...field, value: pick(random, NUMBERS) };
  if (field.wireType === FIXED_32 || field.wireType === FIXED_64) return field;
  if (random() < 0.5) return { ...field, message: null, bytes: Buffer.from(pick(random, [...TEXTS, ...MORE_TEXTS])) };
  const bytes = Buffer.from(field.message ? encode(field.message) : field.bytes);
  if (random() < 0.5) return { ...field, message: null, bytes: bytes.subarray(0, below(random, bytes.length + 1)) };
  if (bytes.length > 0) bytes[below(random, bytes.length)] = below(random, 256);
  return { ...field, message: null, bytes };
}

function randomField(random: Random): Field {
  return {
    number: 1 + below(random, 26),
    wireType: VARINT,
    value: pick(random, NUMBERS),
    bytes: new Uint8Array(),
    message: null,
  };
}

/** A field of any message of any base. */
function randomPart(random: Random): Field {
  let fields = pick(random, BASES);
  for (;;) {
    const field = pick(random, fields);
    if (!field.message || field.message.length === 0 || random() < 0.3) return field;
    fields = field.message as Field[];
  }
}
