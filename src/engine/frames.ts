/**
 * Messages over a byte stream between the server and a worker: one frame each.
 *
 *   4 bytes  length of the payload, little endian
 *   4 bytes  CRC-32 of the payload
 *   payload  structured clone, as `v8.serialize` writes it
 *
 * Node's own channel would throw out of the event loop on bytes that are no message, and would wait for ever for the
 * rest of one that says it is huge. Here both end the worker that sent them, and nothing else.
 */
import type { Duplex } from 'node:stream';
import { deserialize, serialize } from 'node:v8';
import { crc32 } from 'node:zlib';

const HEADER_BYTES = 8;
/** More than any batch of answers; what claims to be longer is not a frame of ours. */
export const MAX_FRAME_BYTES = 2 ** 30;

export interface FrameEvents<In> {
  onMessage(message: In): void;
  /** What came is no frame; nothing that follows can be read. */
  onProtocolError(reason: string): void;
}

export class FrameChannel<Out, In> {
  readonly #stream: Duplex;
  readonly #events: FrameEvents<In>;
  #chunks: Buffer[] = [];
  #bufferedBytes = 0;
  /** Bytes that must be there before the next look is worth it. */
  #neededBytes = HEADER_BYTES;
  #isBroken = false;

  constructor(stream: Duplex, events: FrameEvents<In>) {
    this.#stream = stream;
    this.#events = events;
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    // The other side has gone: whoever started it hears of its end, and whoever was started ends on `close`.
    stream.on('error', () => {});
  }

  send(message: Out): void {
    if (this.#stream.writable) this.#stream.write(encodeFrame(message));
  }

  #receive(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bufferedBytes += chunk.length;
    if (this.#bufferedBytes < this.#neededBytes || this.#isBroken) return;
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#bufferedBytes);
    const rest = this.#readFrames(bytes);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#bufferedBytes = rest.length;
  }

  /** Answers what is left: the beginning of a frame. */
  #readFrames(bytes: Buffer): Buffer {
    let start = 0;
    while (!this.#isBroken) {
      this.#neededBytes = HEADER_BYTES;
      if (bytes.length - start < HEADER_BYTES) break;
      const length = bytes.readUInt32LE(start);
      if (length > MAX_FRAME_BYTES) this.#fail(`a frame of ${length} bytes`);
      this.#neededBytes = HEADER_BYTES + length;
      if (bytes.length - start < this.#neededBytes) break;
      this.#readPayload(
        bytes.subarray(start + HEADER_BYTES, start + this.#neededBytes),
        bytes.readUInt32LE(start + CRC_OFFSET),
      );
      start += this.#neededBytes;
    }
    return bytes.subarray(start);
  }

  #readPayload(payload: Buffer, crc: number): void {
    const message = this.#decode(payload, crc);
    if (message !== null) this.#events.onMessage(message);
  }

  #decode(payload: Buffer, crc: number): In | null {
    try {
      if (crc32(payload) !== crc) throw new Error('its checksum is wrong');
      return deserialize(payload) as In;
    } catch (error) {
      this.#fail(`a frame that cannot be read: ${error instanceof Error ? error.message : error}`);
      return null;
    }
  }

  #fail(reason: string): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#events.onProtocolError(reason);
  }
}

const CRC_OFFSET = 4;

export function encodeFrame(message: unknown): Buffer {
  const payload = serialize(message);
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32LE(payload.length, 0);
  header.writeUInt32LE(crc32(payload), CRC_OFFSET);
  return Buffer.concat([header, payload]);
}
