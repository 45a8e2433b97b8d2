/**
 * Replaces sequences of tensors among the outputs of a graph by their tensors. Exporters for scikit-learn return the
 * probabilities of several targets as such a sequence, which ONNX Runtime for Node cannot return.
 *
 * The stored file is never changed. The outputs are replaced in the bytes each time the model is loaded.
 */
import { type Node, nodeOf } from './graph-nodes.js';
import { encodeField, encodeNumber, fieldsOf, stringField } from './protobuf.js';

export interface TensorSequence {
  /** Name of the graph output that was the sequence. */
  readonly name: string;
  /** Names of its tensors, in order, which are outputs now. */
  readonly tensors: readonly string[];
}

const GRAPH = 7;
const NODE = 1;
const OUTPUT = 12;

/**
 * Returns the model without sequences that a SequenceConstruct builds for an output, or the same bytes if it has none.
 *
 * @throws MalformedProtobufError
 */
export function withoutSequences(model: Uint8Array): { bytes: Uint8Array; sequences: readonly TensorSequence[] } {
  const graph = [...fieldsOf(model)].find(({ number }) => number === GRAPH)?.bytes;
  const found = graph ? findSequences(graph) : [];
  if (!graph || found.length === 0) return { bytes: model, sequences: [] };
  const parts = Array.from(fieldsOf(model), ({ number, whole }) =>
    number === GRAPH ? encodeField(GRAPH, rewrite(graph, found)) : whole,
  );
  return { bytes: Buffer.concat(parts), sequences: found.map(({ name, tensors }) => ({ name, tensors })) };
}

interface FoundSequence extends TensorSequence {
  /** Element type of the tensors, as in TensorProto. */
  readonly type: number;
}

function findSequences(graph: Uint8Array): FoundSequence[] {
  const types = new Map<string, number>();
  const nodes: Node[] = [];
  for (const { number, bytes } of fieldsOf(graph)) {
    if (number === OUTPUT) types.set(stringField(bytes, 1), elementType(bytes));
    else if (number === NODE && stringField(bytes, 4) === 'SequenceConstruct') nodes.push(nodeOf(bytes));
  }
  return nodes.flatMap(({ inputs, outputs: [name = ''] }) => {
    const type = types.get(name) ?? 0;
    return type > 0 ? [{ name, tensors: inputs, type }] : [];
  });
}

/** ValueInfoProto → TypeProto → its sequence → TypeProto of the elements → its tensor → element type. */
function elementType(valueInfo: Uint8Array): number {
  const tensor = [2, 4, 1, 1].reduce(bytesAt, valueInfo);
  return [...fieldsOf(tensor)].find(({ number }) => number === 1)?.value ?? 0;
}

function bytesAt(message: Uint8Array, number: number): Uint8Array {
  return [...fieldsOf(message)].find((field) => field.number === number)?.bytes ?? new Uint8Array();
}

function rewrite(graph: Uint8Array, sequences: readonly FoundSequence[]): Uint8Array {
  const names = sequences.map(({ name }) => name);
  const fields = [...fieldsOf(graph)];
  const isSequence = ({ number, bytes }: { number: number; bytes: Uint8Array }) =>
    (number === OUTPUT && names.includes(stringField(bytes, 1))) ||
    (number === NODE && stringField(bytes, 4) === 'SequenceConstruct' && names.includes(stringField(bytes, 2)));
  const kept = fields.filter((field) => !isSequence(field));
  const existing = kept.flatMap(({ number, bytes }) => (number === OUTPUT ? [stringField(bytes, 1)] : []));
  const types = new Map(sequences.flatMap(({ tensors, type }) => tensors.map((name) => [name, type] as const)));
  const added = [...types].filter(([name]) => !existing.includes(name));
  return Buffer.concat([
    ...kept.map(({ whole }) => whole),
    ...added.map(([name, type]) => encodeField(OUTPUT, tensorInfo(name, type))),
  ]);
}

/** A ValueInfoProto of a tensor of any shape. */
export function tensorInfo(name: string, type: number): Uint8Array {
  return Buffer.concat([encodeField(1, name), encodeField(2, encodeField(1, encodeNumber(1, type)))]);
}
