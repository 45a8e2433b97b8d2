/**
 * Finds the data files that an ONNX file names, without reading the weights in it: it reads the file in windows, and
 * skips data that no name can be in.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { EXTERNAL_DATA, type MessageName, partOf } from './external-data.js';
import { fieldLength, fieldsOf, MalformedProtobufError, readVarint } from './protobuf.js';
import { DATA_TYPE, DIMS, placeOf } from './tensor-scan.js';

/** Parts of the file that are in memory at a time, and parsed without a pause. */
const WINDOW_BYTES = 64 * 1024;
/** Of a tag and a length. */
const LONGEST_HEADER_BYTES = 20;
const MAX_DEPTH = 64;
/** Of large messages, which are read field by field. The trees of an ensemble can have a field for each number. */
const MAX_FIELDS = 100_000_000;

/**
 * The locations of external data, in the order of the file, with the bytes that tensors need from the beginning of each; no
 * more are looked for when there are more than `limit`. Those found so far if the file is damaged: the scan that follows
 * says how, unless the file is large and there is no graph in what can be read, as in sparse files.
 *
 * @throws Error if the file cannot be read, has too many fields or no graph; when `signal` is aborted
 */
export async function findDataLocations(
  file: string,
  limit: number,
  signal?: AbortSignal,
): Promise<Map<string, number>> {
  const handle = await open(file);
  const reader = new LocationReader(handle, limit, signal);
  try {
    const { size } = await handle.stat();
    await reader.read({ from: 0, to: size, message: 'model', depth: 0 });
    if (size > WINDOW_BYTES && !reader.hasGraph) throw new Error(NO_GRAPH);
  } catch (error) {
    if (!(error instanceof MalformedProtobufError)) throw error;
    if ((await handle.stat()).size > WINDOW_BYTES && !reader.hasGraph) throw new Error(NO_GRAPH);
  } finally {
    await handle.close();
  }
  return reader.found;
}

const NO_GRAPH = 'there is no graph in it; copy the file again, or export the model again';

/** A message in the file, by its position. */
interface Region {
  readonly from: number;
  readonly to: number;
  readonly message: MessageName;
  readonly depth: number;
}

class LocationReader {
  readonly found = new Map<string, number>();
  /** Whether it has met a graph in a file that is larger than the window. */
  hasGraph = false;
  readonly #handle: FileHandle;
  readonly #limit: number;
  readonly #signal: AbortSignal | undefined;
  #fields = 0;
  readonly #buffer = Buffer.allocUnsafe(WINDOW_BYTES);
  /** Position of the window in the file, and its size. */
  #start = 0;
  #size = 0;

  constructor(handle: FileHandle, limit: number, signal?: AbortSignal) {
    this.#handle = handle;
    this.#limit = limit;
    this.#signal = signal;
  }

  /** Reads small messages as a whole, and of large ones only what can lead to a location. */
  async read({ from, to, message, depth }: Region): Promise<void> {
    if (depth > MAX_DEPTH) throw new MalformedProtobufError('messages are nested too deeply');
    if (to - from <= WINDOW_BYTES) return collectLocations(await this.#bytes(from, to), message, this.found);
    const own: Uint8Array[] = [];
    let ownBytes = 0;
    for (let at = from; at < to; ) {
      if (this.found.size > this.#limit) return;
      if (++this.#fields > MAX_FIELDS) throw new Error(`it has more than ${MAX_FIELDS} fields`);
      const headerEnd = Math.min(to, at + LONGEST_HEADER_BYTES);
      const { field, begin, end: size } = headerOf(this.#inWindow(at, headerEnd) ?? (await this.#bytes(at, headerEnd)));
      const end = at + size;
      if (end > to) throw new MalformedProtobufError(`field ${field} is cut off`);
      const part = partOf(message, field);
      if (part === 'graph' && message === 'model') this.hasGraph = true;
      if (part) await this.read({ from: at + begin, to: end, message: part, depth: depth + 1 });
      else if (message === 'tensor' && PLACE_FIELDS.has(field)) {
        ownBytes += size;
        if (ownBytes > WINDOW_BYTES) throw new MalformedProtobufError('the place of a tensor is too long');
        own.push(Buffer.from(await this.#bytes(at, end)));
      }
      at = end;
    }
    if (own.length > 0) collectLocations(Buffer.concat(own), message, this.found);
  }

  /** Valid until the next call. `to - from` is at most the size of the window. */
  async #bytes(from: number, to: number): Promise<Uint8Array> {
    const present = this.#inWindow(from, to);
    if (present) return present;
    this.#signal?.throwIfAborted();
    this.#start = from;
    this.#size = (await this.#handle.read(this.#buffer, 0, WINDOW_BYTES, from)).bytesRead;
    if (to > from + this.#size) throw new MalformedProtobufError('the file ends early');
    return this.#buffer.subarray(0, to - from);
  }

  /** Null if the bytes have to be read. A file can have millions of fields of a few bytes. */
  #inWindow(from: number, to: number): Uint8Array | null {
    if (from < this.#start || to > this.#start + this.#size) return null;
    return this.#buffer.subarray(from - this.#start, to - this.#start);
  }
}

/** Those that `placeOf` reads. Everything else of a tensor is its data, which can consist of millions of fields. */
const PLACE_FIELDS = new Set([DIMS, DATA_TYPE, EXTERNAL_DATA]);

/** Adds what the tensors in a message need of each location. @throws MalformedProtobufError */
function collectLocations(bytes: Uint8Array, message: MessageName, found: Map<string, number>, depth = 0): void {
  if (depth > MAX_DEPTH) throw new MalformedProtobufError('messages are nested too deeply');
  if (message === 'tensor') {
    const place = placeOf(bytes);
    if (place) found.set(place.location, Math.max(found.get(place.location) ?? 0, place.neededBytes));
    return;
  }
  for (const field of fieldsOf(bytes)) {
    const part = partOf(message, field.number);
    if (part) collectLocations(field.bytes, part, found, depth + 1);
  }
}

/** The number of a field, and where its content begins and ends, counted from the field. @throws MalformedProtobufError */
function headerOf(bytes: Uint8Array): { readonly field: number; readonly begin: number; readonly end: number } {
  const at = { position: 0 };
  const key = readVarint(bytes, at);
  if (key < 8) throw new MalformedProtobufError('a field has an invalid number');
  const length = fieldLength(key % 8, bytes, at);
  return { field: Math.floor(key / 8), begin: at.position, end: at.position + length };
}
