/**
 * Removes the ZipMap operator from a graph. Exporters for scikit-learn append it by default: it turns the tensor of
 * scores into a list of maps, which ONNX Runtime for Node cannot return. If they were told to return one output for each
 * class instead, the tensor becomes an output beside these.
 *
 * The stored file is never changed. The operator is removed from the bytes each time the model is loaded.
 */
import { encodeField, encodeNumber, fieldsOf, fieldText, numbersOf, stringField } from './protobuf.js';
import { tensorInfo } from './sequences.js';
import { scoreColumns } from './zip-map-columns.js';

export interface ZipMap {
  /** Class labels in the order of the scores. */
  readonly labels: readonly string[];
  /** Name of the tensor that holds the scores. It becomes a graph output in place of the maps. */
  readonly output: string;
}

interface ZipMapNode extends ZipMap {
  /** Name of the graph output with the maps, which is removed; null if there are columns, which earlier specs may read. */
  readonly maps: string | null;
}

const GRAPH = 7;
const NODE = 1;
const OUTPUT = 12;
const FLOAT = 1;

/**
 * Returns the model without its ZipMap, or the same bytes and null if it has none.
 *
 * @throws MalformedProtobufError
 */
export function withoutZipMap(model: Uint8Array): { bytes: Uint8Array; zipMap: ZipMap | null } {
  const graph = [...fieldsOf(model)].find(({ number }) => number === GRAPH)?.bytes;
  const node = graph && findZipMap(graph);
  if (!node) return { bytes: model, zipMap: null };
  const parts = Array.from(fieldsOf(model), ({ number, whole }) =>
    number === GRAPH ? encodeField(GRAPH, rewrite(graph, node)) : whole,
  );
  return { bytes: Buffer.concat(parts), zipMap: { labels: node.labels, output: node.output } };
}

/** The ZipMap, or the columns in its place. */
function findZipMap(graph: Uint8Array): ZipMapNode | null {
  for (const { number, bytes } of fieldsOf(graph)) {
    const node = number === NODE ? readZipMap(bytes) : null;
    if (node) return node;
  }
  const found = scoreColumns(graph);
  return found && { ...found, maps: null };
}

function readZipMap(bytes: Uint8Array): ZipMapNode | null {
  const found = { input: '', output: '', op: '', labels: [] as string[] };
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) found.input = fieldText(field);
    else if (field.number === 2) found.output = fieldText(field);
    else if (field.number === 4) found.op = fieldText(field);
    else if (field.number === 5) found.labels.push(...classLabelsOf(field.bytes));
  }
  return found.op === 'ZipMap' ? { labels: found.labels, output: found.input, maps: found.output } : null;
}

/** The labels of a `classlabels_strings` or `classlabels_int64s` attribute. */
export function classLabelsOf(attribute: Uint8Array): string[] {
  return [...fieldsOf(attribute)].flatMap((field) => {
    if (field.number === 9) return [fieldText(field)];
    return field.number === 8 ? numbersOf(field).map(String) : [];
  });
}

function rewrite(graph: Uint8Array, { labels, output, maps }: ZipMapNode): Uint8Array {
  const kept = [...fieldsOf(graph)].filter(({ number, bytes }) => {
    if (number === NODE) return readZipMap(bytes) === null;
    return number !== OUTPUT || ![maps, output].includes(stringField(bytes, 1));
  });
  return Buffer.concat([...kept.map(({ whole }) => whole), encodeField(OUTPUT, scoresInfo(output, labels.length))]);
}

/** A ValueInfoProto of type float[N, labels], or of any shape if the ZipMap has no labels: it is then of several targets. */
function scoresInfo(name: string, labels: number): Uint8Array {
  if (labels === 0) return tensorInfo(name, FLOAT);
  const rows = encodeField(1, encodeField(2, 'N'));
  const columns = encodeField(1, encodeNumber(1, labels));
  const tensor = Buffer.concat([encodeNumber(1, FLOAT), encodeField(2, Buffer.concat([rows, columns]))]);
  return Buffer.concat([encodeField(1, name), encodeField(2, encodeField(1, tensor))]);
}
