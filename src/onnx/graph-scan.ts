/**
 * Validates an ONNX file before any native code reads it: the file must be complete, within `GRAPH_LIMITS`, and free of
 * features that are not supported or could crash or hang ONNX Runtime.
 *
 * The scan does not run the graph and does not infer shapes, so it cannot find graphs that fail only when they run. The
 * probe finds those. Field numbers are those of onnx.proto. Subgraphs nest through node attributes; the scan recurses
 * into them up to `maxDepth` levels.
 */

import { fieldsOf, fieldText, MalformedProtobufError } from './protobuf.js';
import { type DataFileSizes, scanTensor } from './tensor-scan.js';
import { lostTargets } from './tree-targets.js';

export const GRAPH_LIMITS = {
  /** Protobuf, the format of ONNX files, has no longer messages. */
  maxBytes: 2 ** 31 - 1,
  maxDepth: 16,
  maxNodes: 100_000,
  maxInitializers: 100_000,
  maxNameBytes: 65_536,
  maxTrips: 10_000_000,
} as const;

/**
 * The operators of ONNX, and those of ONNX Runtime that its quantized exports use. Checked for each node and not for
 * `opset_import`, because files saved by ONNX Runtime import many domains that no node uses.
 */
const OPERATOR_DOMAINS = new Set(['', 'ai.onnx', 'ai.onnx.ml', 'com.microsoft']);
const MAX_REASONS = 10;
const NO_DATA_FILES: DataFileSizes = new Map();

/**
 * The reasons to refuse the file, at most 10, each naming the place in the graph. Empty if the file is accepted.
 * `dataFiles`: those that the graph may refer to.
 */
export function scanGraph(bytes: Uint8Array, dataFiles: DataFileSizes = new Map()): string[] {
  const scan = new GraphScanner(dataFiles);
  try {
    if (bytes.length > GRAPH_LIMITS.maxBytes)
      scan.refuse(`the file has ${bytes.length} bytes; the limit is ${GRAPH_LIMITS.maxBytes}`);
    else scan.scanModel(bytes);
  } catch (error) {
    if (!(error instanceof MalformedProtobufError)) throw error;
    scan.refuse(
      isLfsPointer(bytes)
        ? 'it is a pointer of Git LFS, not the graph: fetch the graph with git lfs pull'
        : `the file is not a complete ONNX file: ${error.message}; copy it again, or export it again`,
    );
  }
  return scan.reasons;
}

function isLfsPointer(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, 24)).toString().startsWith('version https://git-lfs');
}

/** The constants of a graph by tensor name, with the value of each int64 scalar and null for all other tensors. */
type Constants = ReadonlyMap<string, number | null>;

class GraphScanner {
  readonly reasons: string[] = [];
  readonly #dataFiles: DataFileSizes;
  readonly #functions = new Set<string>();
  #nodes = 0;
  #initializers = 0;

  constructor(dataFiles: DataFileSizes) {
    this.#dataFiles = dataFiles;
  }

  refuse(reason: string): void {
    if (this.reasons.length < MAX_REASONS) this.reasons.push(reason);
  }

  scanModel(bytes: Uint8Array): void {
    const found = { ir: 0, graph: null as Uint8Array | null, opsets: 0, functions: [] as Uint8Array[] };
    for (const field of fieldsOf(bytes)) {
      if (field.number === 1) found.ir = field.value;
      else if (field.number === 7) found.graph = field.bytes;
      else if (field.number === 8) found.opsets++;
      else if (field.number === 25) found.functions.push(field.bytes);
    }
    if (found.ir < 1) this.refuse('the file has no ir_version');
    if (found.opsets === 0) this.refuse('the file has no opset_import');
    for (const bytes of found.functions) this.#collectFunction(bytes);
    if (found.graph) this.#scanGraph(found.graph, 0, new Map());
    else this.refuse('the file has no graph');
    for (const bytes of found.functions) {
      for (const field of fieldsOf(bytes)) if (field.number === 7) this.#scanNode(field.bytes, 1, new Map());
    }
  }

  #collectFunction(bytes: Uint8Array): void {
    const found = { name: '', domain: '' };
    for (const field of fieldsOf(bytes)) {
      if (field.number === 1) found.name = fieldText(field);
      else if (field.number === 10) found.domain = fieldText(field);
    }
    this.#functions.add(`${found.domain}:${found.name}`);
    if (found.name === 'knn_imputer_column')
      this.refuse(
        'it has a KNNImputer (the functions dist_nan_euclidean and knn_imputer_column of skl2onnx), which crashes ONNX Runtime for some rows with missing values: export the model with SimpleImputer',
      );
  }

  #scanGraph(bytes: Uint8Array, depth: number, outer: Constants): void {
    if (depth === GRAPH_LIMITS.maxDepth) this.refuse(`subgraphs are nested more than ${depth} levels deep`);
    if (depth >= GRAPH_LIMITS.maxDepth) return;
    const constants = new Map(outer);
    const names = new Set<string>();
    const nodes: Uint8Array[] = [];
    const outputs: string[] = [];
    for (const { number, bytes: part } of fieldsOf(bytes)) {
      if (number === 1) nodes.push(part);
      else if (number === 5) this.#scanInitializer(part, names, constants);
      else if (number === 15) this.#scanSparseInitializer(part);
      else if (number === 11 && depth === 0) this.#scanValueInfo(part, 'input');
      else if (number === 12 && depth === 0) outputs.push(this.#scanValueInfo(part, 'output'));
    }
    if (depth === 0 && outputs.length === 0) this.refuse('the graph has no output');
    else if (depth === 0 && !outputs.includes('tensor'))
      this.refuse(
        'none of the graph outputs is a tensor; only tensors can be returned: export with tensor outputs (skl2onnx: options={"zipmap": False})',
      );
    for (const node of nodes) this.#scanNode(node, depth, constants);
  }

  #scanInitializer(bytes: Uint8Array, names: Set<string>, constants: Map<string, number | null>): void {
    if (++this.#initializers === GRAPH_LIMITS.maxInitializers + 1)
      this.refuse(`the file has more than ${GRAPH_LIMITS.maxInitializers} initializers`);
    if (this.#initializers > GRAPH_LIMITS.maxInitializers) return;
    const { name, value, reasons } = scanTensor(bytes, this.#dataFiles);
    for (const reason of reasons) this.refuse(`initializer "${shorten(name)}" ${reason}`);
    if (names.has(name)) this.refuse(`initializer "${shorten(name)}" is defined twice`);
    names.add(name);
    constants.set(name, value);
  }

  /** A sparse initializer holds two tensors: values (field 1) and indices (field 2). Both must be embedded. */
  #scanSparseInitializer(bytes: Uint8Array): void {
    for (const field of fieldsOf(bytes)) {
      if (field.number > 2) continue;
      for (const reason of scanTensor(field.bytes, NO_DATA_FILES).reasons)
        this.refuse(`a sparse initializer ${reason}`);
    }
  }

  #scanNode(bytes: Uint8Array, depth: number, constants: Map<string, number | null>): void {
    if (++this.#nodes === GRAPH_LIMITS.maxNodes + 1)
      this.refuse(`the file has more than ${GRAPH_LIMITS.maxNodes} nodes`);
    if (this.#nodes > GRAPH_LIMITS.maxNodes) return;
    const node = {
      inputs: [] as string[],
      outputs: [] as string[],
      name: '',
      op: '',
      domain: '',
      attributes: [] as Uint8Array[],
    };
    for (const field of fieldsOf(bytes)) {
      const isLong = field.bytes.length > GRAPH_LIMITS.maxNameBytes && field.number !== 5;
      if (isLong)
        this.refuse(`a node has a name of ${field.bytes.length} bytes; the limit is ${GRAPH_LIMITS.maxNameBytes}`);
      else if (field.number === 1) node.inputs.push(fieldText(field));
      else if (field.number === 2) node.outputs.push(fieldText(field));
      else if (field.number === 3) node.name = fieldText(field);
      else if (field.number === 4) node.op = fieldText(field);
      else if (field.number === 5) node.attributes.push(field.bytes);
      else if (field.number === 7) node.domain = fieldText(field);
    }
    const where = `node "${shorten(node.name || node.outputs[0] || '')}" (${shorten(node.op)})`;
    if (!OPERATOR_DOMAINS.has(node.domain) && !this.#functions.has(`${node.domain}:${node.op}`))
      this.refuse(unknownDomain(where, node.domain));
    const lost = lostTargets(node.op, node.attributes);
    if (lost) this.refuse(`${where} ${lost}`);
    if (node.op === 'Loop') this.#checkLoop(where, node.inputs, constants);
    for (const attribute of node.attributes) this.#scanAttribute(attribute, where, depth, constants, node);
  }

  /** An attribute may hold tensors and subgraphs. */
  #scanAttribute(
    bytes: Uint8Array,
    where: string,
    depth: number,
    constants: Map<string, number | null>,
    { op, outputs }: { op: string; outputs: readonly string[] },
  ): void {
    for (const { number, bytes: part } of fieldsOf(bytes)) {
      if (number === 5 || number === 10) {
        const { value, reasons } = scanTensor(part, this.#dataFiles);
        for (const reason of reasons) this.refuse(`${where}: a tensor ${reason}`);
        if (op === 'Constant' && outputs[0] !== undefined) constants.set(outputs[0], value);
      } else if (number === 22 || number === 23) this.#scanSparseInitializer(part);
      else if (number === 6 || number === 11) this.#scanGraph(part, depth + 1, constants);
    }
  }

  /** A loop must be able to end: by a computed condition, or by a trip count of at most `maxTrips`. */
  #checkLoop(where: string, [trips = '', condition = '']: readonly string[], constants: Constants): void {
    const mayEndEarly = condition !== '' && !constants.has(condition);
    if (trips === '' && condition === '')
      this.refuse(`${where} has neither a trip count nor a condition, so it never ends`);
    const count = constants.get(trips);
    if (count == null || count <= GRAPH_LIMITS.maxTrips || mayEndEarly) return;
    this.refuse(
      Number.isFinite(count)
        ? `${where} runs ${count} iterations; the limit without a condition is ${GRAPH_LIMITS.maxTrips}`
        : `${where} has its trip count in a data file; embed that constant in the graph`,
    );
  }

  /** Checks a graph input or output. Returns its kind, for example `tensor`. */
  #scanValueInfo(bytes: Uint8Array, role: 'input' | 'output'): string {
    const found = { name: '', kind: 'unknown', element: 0, hasShape: false };
    for (const field of fieldsOf(bytes)) {
      if (field.number === 1) found.name = fieldText(field);
      else if (field.number === 2) Object.assign(found, valueTypeOf(field.bytes));
    }
    const { name, kind, element, hasShape } = found;
    const where = `${role} "${shorten(name)}"`;
    if (kind === 'optional')
      this.refuse(`${where} is optional, which is not supported: an empty optional crashes ONNX Runtime`);
    else if (kind !== 'tensor' && kind !== 'unknown' && role === 'input')
      this.refuse(
        `${where} is a ${kind}; inputs must be tensors: export the graph with one tensor input for each value`,
      );
    else if (UNSUPPORTED_ELEMENT_TYPES[element])
      this.refuse(
        `${where} is ${UNSUPPORTED_ELEMENT_TYPES[element]}, which ONNX Runtime for Node does not support; cast it to float32 inside the graph`,
      );
    else if (kind === 'tensor' && role === 'input' && !hasShape)
      this.refuse(
        `${where} has no shape: export it with one, whose sizes may be open (tf2onnx: input_signature with TensorSpec([None, …]); onnx: make_tensor_value_info(name, type, ["N", …]))`,
      );
    return kind === 'unknown' ? 'tensor' : kind;
  }
}

const VALUE_KINDS: Readonly<Record<number, string>> = {
  1: 'tensor',
  4: 'sequence',
  5: 'map',
  8: 'sparse tensor',
  9: 'optional',
};

const UNSUPPORTED_ELEMENT_TYPES: Readonly<Record<number, string>> = {
  14: 'complex64',
  15: 'complex128',
  16: 'bfloat16',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  21: 'uint4',
  22: 'int4',
  23: 'float4e2m1',
};

function valueTypeOf(bytes: Uint8Array): { kind: string; element: number; hasShape: boolean } {
  for (const field of fieldsOf(bytes)) {
    const kind = VALUE_KINDS[field.number];
    if (!kind) continue;
    const parts = kind === 'tensor' ? [...fieldsOf(field.bytes)] : [];
    const element = parts.find(({ number }) => number === 1)?.value ?? 0;
    return { kind, element, hasShape: parts.some(({ number }) => number === 2) };
  }
  return { kind: 'unknown', element: 0, hasShape: false };
}

/** What to do about domains that exporters write if they are asked to, or if an operator has no equivalent in ONNX. */
const DOMAIN_ADVICE: Readonly<Record<string, string>> = {
  'ai.onnx.contrib': 'export the tokenizer separately, as tokenizer.json, and not with onnxruntime-extensions',
  'org.pytorch.aten': 'export without operator_export_type=ONNX_ATEN_FALLBACK',
  'com.microsoft.nchwc': 'use the model as it was before ONNX Runtime saved it optimized for one machine',
  'ai.onnx.preview.training': 'export the model for inference, without its training graph',
};

function unknownDomain(where: string, domain: string): string {
  const known = [...OPERATOR_DOMAINS].filter(Boolean).join(', ');
  return `${where} uses the unsupported operator domain "${shorten(domain)}"; supported are ${known}, and functions that the file defines: ${DOMAIN_ADVICE[domain] ?? 'export without custom operators'}`;
}

const MAX_NAME_LENGTH = 60;

function shorten(text: string): string {
  return text.length > MAX_NAME_LENGTH ? `${text.slice(0, MAX_NAME_LENGTH)}…` : text;
}
