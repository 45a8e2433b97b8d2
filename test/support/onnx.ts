/**
 * A small ONNX encoder for graphs with one defect each, and for small models with hand-set weights. The field numbers
 * are those of onnx.proto.
 */
import { PbfWriter } from 'pbf';

type Fields = (writer: PbfWriter) => void;

/** Element types of TensorProto. */
export const TYPE = {
  FP32: 1,
  UINT8: 2,
  INT8: 3,
  INT32: 6,
  INT64: 7,
  BYTES: 8,
  BOOL: 9,
  FP16: 10,
  FP64: 11,
  BF16: 16,
} as const;
export type TypeName = keyof typeof TYPE;

/** An input or output. A size is a string if it is symbolic. */
export interface ValueInfo {
  readonly name: string;
  readonly type: TypeName;
  /** Null if it is not declared. */
  readonly shape: readonly (number | string)[] | null;
}

export interface NodeSpec {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly domain?: string;
  readonly attributes?: readonly Attribute[];
}

export type Attribute =
  | { readonly name: string; readonly int: number }
  | { readonly name: string; readonly ints: readonly number[] }
  | { readonly name: string; readonly float: number }
  | { readonly name: string; readonly floats: readonly number[] }
  | { readonly name: string; readonly string: string }
  | { readonly name: string; readonly strings: readonly string[] }
  | { readonly name: string; readonly graph: GraphSpec };

/** A weight. */
export interface Initializer {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: readonly number[] | Float32Array;
  /** Puts the data into a data file. `again`: a second location. By default, the length is that of the data. */
  readonly file?: {
    readonly location: string;
    readonly offset: number | string;
    readonly length?: number;
    readonly again?: string;
  };
}

export interface GraphSpec {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly nodes: readonly NodeSpec[];
  readonly floats?: readonly Initializer[];
  /** Of 64 bits. */
  readonly ints?: readonly Initializer[];
}

const IR_VERSION = 8;
const OPSET = 13;
/** Of ai.onnx.ml, and of the other domains, such as com.microsoft. */
const [ML_OPSET, DOMAIN_OPSET] = [3, 1];

/** The bytes of a model file. */
export function encodeModel(
  graph: GraphSpec,
  {
    opset = OPSET,
    irVersion = IR_VERSION,
    producer = 'modelgraph-test',
    metadata = {} as Readonly<Record<string, string>>,
  } = {},
): Buffer {
  return Buffer.from(
    bytes((w) => {
      w.writeVarintField(1, irVersion);
      w.writeStringField(2, producer);
      w.writeBytesField(7, encodeGraph(graph));
      w.writeBytesField(
        8,
        bytes((o) => o.writeVarintField(2, opset)),
      );
      for (const domain of new Set(graph.nodes.flatMap((node) => node.domain ?? [])))
        w.writeBytesField(
          8,
          bytes((o) => {
            o.writeStringField(1, domain);
            o.writeVarintField(2, domain === 'ai.onnx.ml' ? ML_OPSET : DOMAIN_OPSET);
          }),
        );
      for (const [key, value] of Object.entries(metadata))
        w.writeBytesField(
          14,
          bytes((entry) => {
            entry.writeStringField(1, key);
            entry.writeStringField(2, value);
          }),
        );
    }),
  );
}

function encodeGraph({ inputs, outputs, nodes, floats = [], ints = [] }: GraphSpec): Uint8Array {
  return bytes((w) => {
    for (const node of nodes) w.writeBytesField(1, encodeNode(node));
    w.writeStringField(2, 'graph');
    for (const tensor of floats) w.writeBytesField(5, encodeFloats(tensor));
    for (const tensor of ints) w.writeBytesField(5, encodeInts(tensor));
    for (const input of inputs) w.writeBytesField(11, encodeValueInfo(input));
    for (const output of outputs) w.writeBytesField(12, encodeValueInfo(output));
  });
}

function encodeNode({ op, inputs, outputs, domain, attributes = [] }: NodeSpec): Uint8Array {
  return bytes((w) => {
    for (const input of inputs) w.writeStringField(1, input);
    for (const output of outputs) w.writeStringField(2, output);
    w.writeStringField(4, op);
    for (const attribute of attributes) w.writeBytesField(5, encodeAttribute(attribute));
    if (domain) w.writeStringField(7, domain);
  });
}

function encodeAttribute(attribute: Attribute): Uint8Array {
  return bytes((w) => {
    w.writeStringField(1, attribute.name);
    if ('int' in attribute) {
      w.writeVarintField(3, attribute.int);
      w.writeVarintField(20, 2);
    } else if ('ints' in attribute) {
      for (const int of attribute.ints) w.writeVarintField(8, int);
      w.writeVarintField(20, 7);
    } else if ('float' in attribute) {
      w.writeFloatField(2, attribute.float);
      w.writeVarintField(20, 1);
    } else if ('floats' in attribute) {
      for (const float of attribute.floats) w.writeFloatField(7, float);
      w.writeVarintField(20, 6);
    } else if ('string' in attribute) {
      w.writeStringField(4, attribute.string);
      w.writeVarintField(20, 3);
    } else if ('strings' in attribute) {
      for (const string of attribute.strings) w.writeStringField(9, string);
      w.writeVarintField(20, 8);
    } else {
      w.writeBytesField(6, encodeGraph(attribute.graph));
      w.writeVarintField(20, 5);
    }
  });
}

function encodeValueInfo({ name, type, shape }: ValueInfo): Uint8Array {
  const dimension = (size: number | string) =>
    bytes((w) => (typeof size === 'number' ? w.writeVarintField(1, size) : w.writeStringField(2, size)));
  const shapeBytes = bytes((w) => {
    for (const size of shape ?? []) w.writeBytesField(1, dimension(size));
  });
  const tensorType = bytes((w) => {
    w.writeVarintField(1, TYPE[type]);
    if (shape) w.writeBytesField(2, shapeBytes);
  });
  return bytes((w) => {
    w.writeStringField(1, name);
    w.writeBytesField(
      2,
      bytes((t) => t.writeBytesField(1, tensorType)),
    );
  });
}

function encodeFloats(tensor: Initializer): Uint8Array {
  return encodeTensor(tensor, TYPE.FP32, new Uint8Array(Float32Array.from(tensor.data).buffer));
}

function encodeInts(tensor: Initializer): Uint8Array {
  return encodeTensor(tensor, TYPE.INT64, new Uint8Array(BigInt64Array.from(Array.from(tensor.data), BigInt).buffer));
}

function encodeTensor({ name, shape, file }: Initializer, type: number, raw: Uint8Array): Uint8Array {
  return bytes((w) => {
    for (const size of shape) w.writeVarintField(1, size);
    w.writeVarintField(2, type);
    w.writeStringField(8, name);
    if (file) writeDataFile(w, { length: raw.length, ...file });
    else w.writeBytesField(9, raw);
  });
}

function writeDataFile(w: PbfWriter, { again, ...entries }: NonNullable<Initializer['file']>): void {
  for (const [key, value] of [...Object.entries(entries), ...(again ? [['location', again]] : [])])
    w.writeBytesField(
      13,
      bytes((entry) => {
        entry.writeStringField(1, String(key));
        entry.writeStringField(2, String(value));
      }),
    );
  w.writeVarintField(14, 1);
}

function bytes(fields: Fields): Uint8Array {
  const writer = new PbfWriter();
  fields(writer);
  return writer.finish();
}

/** A text graph with `bbox`, an input that the service cannot fill. */
export const UNKNOWN_TEXT_INPUT: GraphSpec = {
  inputs: ['input_ids', 'bbox'].map((name) => ({ name, type: 'INT64', shape: ['N', 'L'] })),
  outputs: [{ name: 'logits', type: 'INT64', shape: ['N', 'L'] }],
  nodes: [{ op: 'Add', inputs: ['input_ids', 'bbox'], outputs: ['logits'] }],
};

/** y = a / b in int32; INT_MIN / −1 crashes the process by SIGFPE. */
export const CRASHING_DIVISION: GraphSpec = {
  inputs: [
    { name: 'a', type: 'INT32', shape: ['N'] },
    { name: 'b', type: 'INT32', shape: ['N'] },
  ],
  outputs: [{ name: 'y', type: 'INT32', shape: ['N'] }],
  nodes: [{ op: 'Div', inputs: ['a', 'b'], outputs: ['y'] }],
};

/** A Loop that counts to the first element of `trips`; only SIGKILL ends a large count. */
export const COUNTING_LOOP: GraphSpec = {
  inputs: [{ name: 'trips', type: 'INT64', shape: [1] }],
  outputs: [{ name: 'last', type: 'BOOL', shape: [1] }],
  nodes: [
    { op: 'Cast', inputs: ['trips'], outputs: ['start'], attributes: [{ name: 'to', int: TYPE.BOOL }] },
    {
      op: 'Loop',
      inputs: ['trips', '', 'start'],
      outputs: ['last'],
      attributes: [
        {
          name: 'body',
          graph: {
            inputs: [
              { name: 'turn', type: 'INT64', shape: [] },
              { name: 'go_on', type: 'BOOL', shape: [] },
              { name: 'value', type: 'BOOL', shape: [1] },
            ],
            outputs: [
              { name: 'go_on_next', type: 'BOOL', shape: [] },
              { name: 'value_next', type: 'BOOL', shape: [1] },
            ],
            nodes: [
              { op: 'Identity', inputs: ['go_on'], outputs: ['go_on_next'] },
              { op: 'Not', inputs: ['value'], outputs: ['value_next'] },
            ],
          },
        },
      ],
    },
  ],
};

/** The sum of `size` float zeros, which take 4 bytes of memory each. */
export const MEMORY_BOMB: GraphSpec = {
  inputs: [{ name: 'size', type: 'INT64', shape: [1] }],
  outputs: [{ name: 'sum', type: 'FP32', shape: [] }],
  nodes: [
    { op: 'ConstantOfShape', inputs: ['size'], outputs: ['zeros'] },
    { op: 'ReduceSum', inputs: ['zeros'], outputs: ['sum'], attributes: [{ name: 'keepdims', int: 0 }] },
  ],
};

/** A graph that returns its input. */
export function identity(name: string, type: TypeName, shape: (string | number)[]): GraphSpec {
  return {
    inputs: [{ name, type, shape }],
    outputs: [{ name: 'y', type, shape }],
    nodes: [{ op: 'Identity', inputs: [name], outputs: ['y'] }],
  };
}

/** Looks up weights by index in a table, so that the model has a size of `bytes`. Weight 0 is `first`. */
export function heavyModel(first: number, bytes: number): Buffer {
  const weights = new Float32Array(Math.max(1, Math.floor(bytes / 4)));
  weights[0] = first;
  return encodeModel({
    inputs: [{ name: 'index', type: 'INT64', shape: ['N'] }],
    outputs: [{ name: 'weight', type: 'FP32', shape: ['N'] }],
    nodes: [{ op: 'Gather', inputs: ['weights', 'index'], outputs: ['weight'] }],
    floats: [{ name: 'weights', shape: [weights.length], data: weights }],
  });
}
