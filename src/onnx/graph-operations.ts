/**
 * Estimates how many operations a graph computes for each value of its inputs, so that running it can be priced before it
 * has ever run. The estimate depends only on the file.
 *
 * The shapes inside a graph are usually not in the file, and exact ones would need a complete implementation of ONNX. Here
 * each tensor has a number of positions (pixels or tokens) and of channels. A multiplication with weights gives the
 * channels again, so that errors do not add up along the graph. Field numbers are those of onnx.proto.
 */
import {
  type Constant,
  constantOf,
  type GraphInput,
  inputOf,
  intsOf,
  type Node,
  nodeOf,
  tensorOf,
} from './graph-nodes.js';
import { fieldsOf } from './protobuf.js';

/** The size of a tensor of one row. */
interface Size {
  readonly positions: number;
  readonly channels: number;
}

/** Sizes that the graph leaves open. Fixed costs of a row are spread over its values, so they must not be too small. */
const OPEN_SIZE = 64;
/** Computing an element costs as much as this many multiplications with weights, which are vectorized and read from caches. */
const OPERATIONS_PER_ELEMENT = 8;
/** Following a path of a decision tree. */
const OPERATIONS_PER_TREE = 500;

/** Operations, in multiplications with weights, divided by the number of values in all inputs. @throws MalformedProtobufError */
export function operationsPerValue(graph: Uint8Array): number {
  const counter = new OperationCounter();
  const nodes: Node[] = [];
  let values = 0;
  const inputs: GraphInput[] = [];
  for (const { number, bytes } of fieldsOf(graph)) {
    if (number === 1) nodes.push(nodeOf(bytes));
    else if (number === 5) counter.addWeights(constantOf(bytes));
    else if (number === 11) inputs.push(inputOf(bytes));
  }
  for (const input of inputs) {
    // Old files list the initializers among the inputs.
    if (counter.constants.has(input.name)) continue;
    const size = sizeOfInput(input);
    counter.sizes.set(input.name, size);
    values += elementsIn(size);
  }
  for (const node of nodes) counter.add(node);
  const perValue = (counter.operations + counter.unreadWeights()) / Math.max(1, values);
  return Number.isFinite(perValue) ? perValue : 0;
}

class OperationCounter {
  operations = 0;
  readonly constants = new Map<string, Constant>();
  readonly sizes = new Map<string, Size>();
  readonly #read = new Set<string>();

  /** Nodes are in the order in which they can be computed. */
  add(node: Node): void {
    for (const name of node.inputs) this.#read.add(name);
    const sizes = node.inputs.flatMap((name) => this.sizes.get(name) ?? []);
    if (sizes.length === 0) {
      this.#addConstant(node);
      return;
    }
    const weights = node.inputs.flatMap((name) => this.constants.get(name) ?? []);
    const { multiplications, size } = (RULES[node.op] ?? elementwise)({
      node,
      sizes,
      weights,
      constants: this.constants,
    });
    this.operations += multiplications + OPERATIONS_PER_ELEMENT * elementsIn(size);
    for (const name of node.outputs) this.sizes.set(name, size);
  }

  /** Parameters of subgraphs, whose nodes are not looked at: each is used at least once. */
  unreadWeights(): number {
    const unread = [...this.constants].filter(([name, { isFloat }]) => isFloat && !this.#read.has(name));
    return unread.reduce((sum, [, { dims }]) => sum + product(dims), 0);
  }

  addWeights(constant: Constant): void {
    this.constants.set(constant.name, constant);
  }

  #addConstant({ op, inputs, outputs, attributes }: Node): void {
    const tensor = tensorOf(attributes.get('value'));
    const constant = op === 'Constant' && tensor ? constantOf(tensor) : this.constants.get(inputs[0] ?? '');
    if (!constant) return;
    const dims = op === 'Transpose' ? transposed(constant.dims, intsOf(attributes.get('perm'))) : constant.dims;
    for (const name of outputs) {
      this.constants.set(name, { ...constant, dims });
      this.#read.add(name);
    }
  }
}

interface Operation {
  readonly node: Node;
  /** Of the inputs that are computed. */
  readonly sizes: readonly Size[];
  /** The inputs that are constant. */
  readonly weights: readonly Constant[];
  readonly constants: ReadonlyMap<string, Constant>;
}

/** The work of a node besides writing its output, and the size of the output. */
type Rule = (operation: Operation) => { readonly multiplications: number; readonly size: Size };

/** Of operators that are not listed, the output is as large as the largest input. */
const elementwise: Rule = ({ node, sizes, weights }) => {
  const size = largestOf(sizes);
  const read = weights.filter(({ isFloat, dims }) => isFloat && dims.length > 1);
  const elements = read.reduce((sum, { dims }) => sum + product(dims), 0);
  // Fused operators of ONNX Runtime multiply each position with their weights.
  const times = node.domain === 'com.microsoft' ? size.positions : 1;
  return { multiplications: elements * times, size };
};

const convolution: Rule = ({ node, sizes, weights }) => {
  const { positions } = largestOf(sizes);
  const weight = weights.find(({ dims }) => dims.length > 2);
  if (!weight) return { multiplications: 0, size: largestOf(sizes) };
  const moved = positions / product(positive(intsOf(node.attributes.get('strides'))));
  return { multiplications: moved * product(weight.dims), size: { positions: moved, channels: weight.dims[0] ?? 1 } };
};

const transposedConvolution: Rule = ({ node, sizes, weights }) => {
  const { positions } = largestOf(sizes);
  const weight = weights.find(({ dims }) => dims.length > 2);
  if (!weight) return { multiplications: 0, size: largestOf(sizes) };
  const grown = positions * product(positive(intsOf(node.attributes.get('strides'))));
  const channels = (weight.dims[1] ?? 1) * (intsOf(node.attributes.get('group'))[0] ?? 1);
  return { multiplications: positions * product(weight.dims), size: { positions: grown, channels } };
};

const matrixProduct: Rule = ({ node, sizes, weights }) => {
  const size = largestOf(sizes);
  const weight = weights.find(({ dims }) => dims.length > 1);
  if (!weight) {
    // Attention: each position of one input with each position of the other.
    const [a = size, b = size] = sizes;
    return { multiplications: a.positions * b.positions * Math.max(a.channels, b.channels), size };
  }
  const [rows = 1, columns = 1] = weight.dims.slice(-2);
  const isTransposed = intsOf(node.attributes.get('transB'))[0] === 1;
  const [read, channels] = isTransposed ? [columns, rows] : [rows, columns];
  // A reshape in between has made several positions a single one, as between the convolutions and the head of a network.
  const folded = Math.max(1, read / Math.max(1, size.channels));
  const isFolded = Number.isInteger(folded) && folded <= size.positions;
  const positions = isFolded ? size.positions / folded : size.positions;
  return { multiplications: positions * product(weight.dims), size: { positions, channels } };
};

const recurrent: Rule = ({ sizes, weights }) => {
  const { positions } = largestOf(sizes);
  const read = weights.filter(({ dims }) => dims.length > 2);
  const channels = read.at(-1)?.dims[2] ?? 1;
  return {
    multiplications: positions * read.reduce((sum, { dims }) => sum + product(dims), 0),
    size: { positions, channels: channels * (read[0]?.dims[0] ?? 1) },
  };
};

const gather: Rule = ({ node, sizes, constants }) => {
  const table = constants.get(node.inputs[0] ?? '');
  const { positions, channels } = largestOf(sizes);
  if (!table) return { multiplications: 0, size: { positions, channels } };
  const width = product(table.dims.slice(1));
  return { multiplications: 0, size: { positions: positions * channels, channels: width } };
};

const pool: Rule = ({ node, sizes }) => {
  const { positions, channels } = largestOf(sizes);
  const size = { positions: positions / product(positive(intsOf(node.attributes.get('strides')))), channels };
  return { multiplications: elementsIn(size) * product(intsOf(node.attributes.get('kernel_shape'))), size };
};

const globalPool: Rule = ({ sizes }) => {
  const size = largestOf(sizes);
  return { multiplications: elementsIn(size), size: { positions: 1, channels: size.channels } };
};

/** The mean over the pixels of an image; a mean over one axis is taken for that of the channels, as in a normalization. */
const reduction: Rule = (operation) => {
  const { node } = operation;
  const axes = node.attributes.has('axes') ? intsOf(node.attributes.get('axes')) : valuesAt(operation, 1);
  return axes.length > 1 ? globalPool(operation) : elementwise(operation);
};

const reshape: Rule = (operation) => {
  const { positions, channels } = largestOf(operation.sizes);
  const elements = positions * channels;
  const shape = valuesAt(operation, 1);
  const width = shape.at(-1) ?? 0;
  if (operation.node.op === 'Flatten') return { multiplications: 0, size: { positions: 1, channels: elements } };
  if (shape.length < 2 || shape.length > 3) return { multiplications: 0, size: { positions, channels } };
  if (width > 0) return { multiplications: 0, size: { positions: elements / width, channels: width } };
  return {
    multiplications: 0,
    size: shape.length === 2 ? { positions: 1, channels: elements } : { positions, channels },
  };
};

const resize: Rule = (operation) => {
  const { positions, channels } = largestOf(operation.sizes);
  const scales = [1, 2].map((i) => valuesAt(operation, i)).find((values) => values.length > 2);
  return { multiplications: 0, size: { positions: positions * (scales ? product(scales) : 4), channels } };
};

const toSpace: Rule = ({ node, sizes }) => {
  const { positions, channels } = largestOf(sizes);
  const block = (intsOf(node.attributes.get('blocksize'))[0] ?? 2) ** 2;
  const factor = node.op === 'DepthToSpace' ? block : 1 / block;
  return { multiplications: 0, size: { positions: positions * factor, channels: channels / factor } };
};

const slice: Rule = (operation) => {
  const { positions, channels } = largestOf(operation.sizes);
  const steps = valuesAt(operation, 4).filter((step) => step > 0);
  return { multiplications: 0, size: { positions: positions / product(steps), channels } };
};

const split: Rule = ({ node, sizes }) => {
  const { positions, channels } = largestOf(sizes);
  return { multiplications: 0, size: { positions, channels: channels / node.outputs.length } };
};

const concat: Rule = ({ sizes }) => ({
  multiplications: 0,
  size: { ...largestOf(sizes), channels: sizes.reduce((sum, { channels }) => sum + channels, 0) },
});

const trees: Rule = ({ node, sizes }) => {
  const ids = node.attributes.get('nodes_treeids');
  const last = intsOf(ids).at(-1) ?? 0;
  return { multiplications: (last + 1) * OPERATIONS_PER_TREE, size: { ...largestOf(sizes), positions: 1 } };
};

const single: Rule = () => ({ multiplications: 0, size: { positions: 1, channels: 1 } });

const RULES: Readonly<Record<string, Rule>> = {
  ...rulesFor(convolution, 'Conv QLinearConv ConvInteger FusedConv NhwcFusedConv'),
  ...rulesFor(transposedConvolution, 'ConvTranspose'),
  ...rulesFor(
    matrixProduct,
    'MatMul Gemm FusedMatMul FusedGemm MatMulInteger QLinearMatMul QGemm DynamicQuantizeMatMul',
  ),
  ...rulesFor(recurrent, 'LSTM GRU RNN'),
  ...rulesFor(gather, 'Gather'),
  ...rulesFor(pool, 'AveragePool MaxPool LpPool'),
  ...rulesFor(globalPool, 'GlobalAveragePool GlobalMaxPool GlobalLpPool'),
  ...rulesFor(reduction, 'ReduceMean ReduceSum ReduceMax ReduceMin ReduceL2 ReduceProd'),
  ...rulesFor(reshape, 'Reshape Flatten'),
  ...rulesFor(resize, 'Resize Upsample'),
  ...rulesFor(toSpace, 'DepthToSpace SpaceToDepth'),
  ...rulesFor(slice, 'Slice'),
  ...rulesFor(split, 'Split'),
  ...rulesFor(concat, 'Concat'),
  ...rulesFor(trees, 'TreeEnsembleClassifier TreeEnsembleRegressor TreeEnsemble'),
  ...rulesFor(single, 'Shape Size'),
};

function rulesFor(rule: Rule, operators: string): Record<string, Rule> {
  return Object.fromEntries(operators.split(' ').map((operator) => [operator, rule]));
}

// ── sizes ──

function elementsIn({ positions, channels }: Size): number {
  return positions * channels;
}

/** Broadcast: as many positions and channels as any of them has. */
function largestOf(sizes: readonly Size[]): Size {
  return sizes.reduce((largest, { positions, channels }) => ({
    positions: Math.max(largest.positions, positions),
    channels: Math.max(largest.channels, channels),
  }));
}

function sizeOfInput({ isInteger, shape }: GraphInput): Size {
  const [, ...sizes] = shape.map((size) => size || OPEN_SIZE);
  const [first = 1] = sizes;
  // Integers are tokens, one a position; other values are those of a row.
  if (sizes.length < 2) return isInteger ? { positions: first, channels: 1 } : { positions: 1, channels: first };
  const last = sizes.at(-1) ?? 1;
  const isLast = sizes.length === 2 || (last <= MAX_COLORS && first > MAX_COLORS);
  const channels = isLast ? last : first;
  return { positions: product(sizes) / channels, channels };
}

/** Images have at most as many channels. */
const MAX_COLORS = 4;

function transposed(dims: readonly number[], order: readonly number[]): readonly number[] {
  return order.length === dims.length ? order.map((i) => dims[i] ?? 1) : [...dims].reverse();
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((all, size) => all * size, 1);
}

function positive(values: readonly number[]): readonly number[] {
  return values.filter((value) => value > 0);
}

function valuesAt({ node, constants }: Operation, input: number): readonly number[] {
  return constants.get(node.inputs[input] ?? '')?.values ?? [];
}
