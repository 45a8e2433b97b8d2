/**
 * Framing of the messages between the server and a worker over a byte stream. Each message is one frame:
 *
 *   4 bytes  length of the payload, little endian
 *   4 bytes  CRC-32 of the payload, little endian
 *   payload  structured clone, as written by `v8.serialize`; of batches of numbers, see `numeric-frames.ts`
 *
 * Node's own IPC channel throws an uncaught exception on invalid bytes, and waits forever for the rest of a message
 * with an inflated length. Here both are reported by `onProtocolError`, and only the worker that sent them is killed.
 */
import type { Duplex } from 'node:stream';
import { DefaultSerializer, deserialize } from 'node:v8';
import { crc32 } from 'node:zlib';
import { decodeNumeric, encodeNumeric, isNumericMessage } from './numeric-frames.js';

/** File descriptor of the message channel inside the worker. */
export const CHANNEL_FD = 3;

const HEADER_BYTES = 8;
/** 1 GiB, more than any batch of answers. A longer length means that the stream is corrupt. */
export const MAX_FRAME_BYTES = 2 ** 30;

interface FrameEvents {
  /** The message may be any value: only its bytes have been checked. */
  onMessage(message: unknown): void;
  /** Called once, when the stream does not hold a valid frame. Nothing after it is read. */
  onProtocolError(reason: string): void;
}

export class FrameChannel<Out> {
  readonly #stream: Duplex;
  readonly #events: FrameEvents;
  #chunks: Buffer[] = [];
  #bufferedBytes = 0;
  /** The number of buffered bytes at which the next frame, or its header, is complete. */
  #neededBytes = HEADER_BYTES;
  #isBroken = false;

  constructor(stream: Duplex, events: FrameEvents) {
    this.#stream = stream;
    this.#events = events;
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    // The other process has gone. The server learns that from the child's `exit`, the worker from `close`.
    stream.on('error', () => {});
  }

  /** @throws Error if the message cannot be cloned or is too long; nothing is sent then */
  send(message: Out): void {
    const frame = encodeFrame(message);
    if (this.#stream.writable) this.#stream.write(frame);
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

  /** Returns the bytes that remain: an incomplete frame. */
  #readFrames(bytes: Buffer): Buffer {
    let start = 0;
    while (!this.#isBroken) {
      this.#neededBytes = HEADER_BYTES;
      if (bytes.length - start < HEADER_BYTES) break;
      const length = bytes.readUInt32LE(start);
      if (length > MAX_FRAME_BYTES) this.#fail(`a frame claims ${length} bytes; the limit is ${MAX_FRAME_BYTES}`);
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
    let message: unknown;
    try {
      if (crc32(payload) !== crc) throw new Error('the checksum does not match');
      message = payload[0] === CLONE_VERSION_TAG ? deserialize(payload) : decodeNumeric(payload);
    } catch (error) {
      this.#fail(`a frame cannot be decoded: ${error instanceof Error ? error.message : error}`);
      return;
    }
    this.#events.onMessage(message);
  }

  #fail(reason: string): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#events.onProtocolError(reason);
  }
}

const CRC_OFFSET = 4;
/** Begins every structured clone. */
const CLONE_VERSION_TAG = 0xff;
const NO_HEADER = Buffer.alloc(HEADER_BYTES);

/** @throws Error if the message cannot be cloned or is longer than `MAX_FRAME_BYTES` */
export function encodeFrame(message: unknown): Buffer {
  const frame = isNumericMessage(message) ? encodeNumeric(message, HEADER_BYTES) : encodeClone(message);
  const length = frame.length - HEADER_BYTES;
  if (length > MAX_FRAME_BYTES) throw new Error(`a message of ${length} bytes is over the limit of ${MAX_FRAME_BYTES}`);
  frame.writeUInt32LE(length, 0);
  frame.writeUInt32LE(crc32(frame.subarray(HEADER_BYTES)), CRC_OFFSET);
  return frame;
}

/** As `v8.serialize`, after a header that is left free. */
function encodeClone(message: unknown): Buffer {
  const serializer = new DefaultSerializer();
  serializer.writeRawBytes(NO_HEADER);
  serializer.writeHeader();
  serializer.writeValue(message);
  return serializer.releaseBuffer();
}
