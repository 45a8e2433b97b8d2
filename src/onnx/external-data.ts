/**
 * Tensors whose data is in a file beside the graph ("external data"): which files a graph names, and replacing these
 * names. Field numbers are those of onnx.proto.
 *
 * ONNX Runtime opens a file by the name in the graph, and even takes some names for addresses in its own memory. So it
 * only ever sees names that the service has chosen, and the entries that `tensor-scan.ts` has checked.
 */
import { encodeField, encodeNumber, fieldsOf, fieldText, MalformedProtobufError } from './protobuf.js';

/** The messages that lead to tensors: for each, the fields to follow, and the messages that these hold. */
const PARTS = {
  model: { 7: 'graph', 25: 'function' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  function: { 7: 'node', 11: 'attribute' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
} as const satisfies Record<string, Record<number, string>>;
export type MessageName = keyof typeof PARTS | 'tensor';

/** The message in a field; undefined if no tensor is in it. */
export function partOf(message: MessageName, field: number): MessageName | undefined {
  return message === 'tensor' ? undefined : (PARTS[message] as Record<number, MessageName>)[field];
}

/** TensorProto.external_data, a list of keys and values. */
export const EXTERNAL_DATA = 13;
/** TensorProto.data_location. */
export const DATA_LOCATION = 14;
export const EXTERNAL = 1;

/** Deeper messages are refused by the scan; every second level is a node or an attribute. */
const MAX_DEPTH = 64;

export interface ExternalData {
  readonly location: string;
  /** As written in the file; null if absent. */
  readonly offset: string | null;
  readonly length: string | null;
  /** Whether a key occurs twice. */
  readonly isAmbiguous: boolean;
}

/** Reads the entries of TensorProto.external_data. @throws MalformedProtobufError */
export function externalDataOf(entries: readonly Uint8Array[]): ExternalData {
  const found = new Map<string, string>();
  for (const entry of entries) {
    const pair = { key: '', value: '' };
    for (const field of fieldsOf(entry)) {
      if (field.number === 1) pair.key = fieldText(field);
      else if (field.number === 2) pair.value = fieldText(field);
    }
    found.set(found.has(pair.key) ? '' : pair.key, pair.value);
  }
  const of = (key: string) => found.get(key) ?? null;
  return { location: of('location') ?? '', offset: of('offset'), length: of('length'), isAmbiguous: found.has('') };
}

/**
 * The model with other locations: `nameOf` returns the new name of each. Of the other entries, only the offset and the
 * length are kept. Returns the same bytes if the model has no external data.
 *
 * @throws MalformedProtobufError; Error if a location has no new name
 */
export function withLocations(model: Uint8Array, nameOf: ReadonlyMap<string, string>): Uint8Array {
  return rewritten(model, 'model', nameOf, 0) ?? model;
}

/** Null if nothing in the message has changed. */
function rewritten(
  bytes: Uint8Array,
  message: MessageName,
  nameOf: ReadonlyMap<string, string>,
  depth: number,
): Uint8Array | null {
  if (depth > MAX_DEPTH) throw new MalformedProtobufError('messages are nested too deeply');
  const parts: Uint8Array[] = [];
  const entries: Uint8Array[] = [];
  let isChanged = false;
  for (const { number, bytes: content, whole } of fieldsOf(bytes)) {
    const part = partOf(message, number);
    const changed = part ? rewritten(content, part, nameOf, depth + 1) : null;
    if (changed) isChanged = true;
    if (message === 'tensor' && number === EXTERNAL_DATA) entries.push(content);
    else parts.push(changed ? encodeField(number, changed) : whole);
  }
  if (entries.length > 0) parts.push(...encodeEntries(externalDataOf(entries), nameOf));
  return isChanged || entries.length > 0 ? Buffer.concat(parts) : null;
}

function encodeEntries({ location, offset, length }: ExternalData, nameOf: ReadonlyMap<string, string>): Uint8Array[] {
  const name = nameOf.get(location);
  if (name === undefined) throw new Error(`the data file "${location}" does not belong to the version`);
  const encoded = Object.entries({ location: name, offset, length }).flatMap(([key, value]) =>
    value === null ? [] : [encodeField(EXTERNAL_DATA, Buffer.concat([encodeField(1, key), encodeField(2, value)]))],
  );
  return [...encoded, encodeNumber(DATA_LOCATION, EXTERNAL)];
}
