/**
 * Entry file of a worker process. It connects the worker body to the message channel and the native libraries, and is
 * never imported.
 *
 * A worker runs at low priority, in an empty folder, with a minimal environment, and exits when its parent does.
 */
import { createHash } from 'node:crypto';
import { createReadStream, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import os from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { CHANNEL_FD, encodeFrame, FrameChannel } from '../engine/frames.js';
import type { FromWorker, ToWorker } from '../engine/messages.js';
import { corruptFrame, faultPoint } from '../fault-points.js'; // @fault
import { processMemory } from '../process-memory.js';
import { UnreadableItemError } from '../tasks/failures.js';
import { WorkerBody } from './body.js';
import type { WorkerRuntime } from './load.js';
import { watchMemory } from './memory-growth.js';
import { freeNativeMemory } from './native/free-native-memory.js';
import { openSessionHere, SessionThread } from './native/session-thread.js';
import { openTokenizer } from './native/tokenizer.js';

/** Lower priority than the server, which must stay responsive, but high enough to get CPU time on a busy machine. */
const NICE = 5;

/** libvips would make each start slower, so it is loaded for the first image. */
const images: Pick<WorkerRuntime, 'makeThumbnail' | 'hidePatches'> & Pick<WorkerRuntime['tools'], 'imageToFloats'> = {
  imageToFloats: async (bytes, spec, maxPixels) => {
    const { imageToFloats, UnreadableImageError } = await import('./native/image.js');
    return imageToFloats(bytes, spec, maxPixels).catch((error) => {
      throw error instanceof UnreadableImageError ? unreadable(error) : error;
    });
  },
  makeThumbnail: async (image, maxSize) => (await import('./native/thumbnail.js')).makeThumbnail(image, maxSize),
  hidePatches: async (image) => (await import('./native/patches.js')).hidePatches(image),
};

/** A damaged or oversized image is a problem of the input, not of the model. */
function unreadable({ message }: Error): UnreadableItemError {
  const isTooLarge = /pixel limit/.test(message);
  return new UnreadableItemError({
    code: isTooLarge ? 'TOO_LARGE' : 'UNREADABLE',
    path: ['image', 'base64'],
    message: isTooLarge ? 'the image has too many pixels' : 'the image is damaged or truncated',
    expected: isTooLarge ? 'a smaller image' : 'a complete JPEG, PNG or WebP image',
  });
}

/** Hashes the same bytes that are loaded, so that a file replaced in between is never used unverified. */
async function readVerified(file: string, expectedSha256: string): Promise<Uint8Array> {
  const bytes = await readFile(file);
  faultPoint('worker.artifact.read'); // @fault
  const actual = createHash('sha256').update(bytes).digest('hex');
  faultPoint('worker.artifact.hashed'); // @fault
  expectDigest(actual, expectedSha256);
  return bytes;
}

const CHUNK_BYTES = 1024 * 1024;

/** Of a data file, which ONNX Runtime maps into memory, so that the workers share it. Blobs are replaced, never changed. */
async function verifyFile(file: string, expectedSha256: string): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES })) hash.update(chunk);
  expectDigest(hash.digest('hex'), expectedSha256);
}

function expectDigest(actual: string, expected: string): void {
  if (actual !== expected) throw new Error(`the artifact is damaged: its SHA-256 is ${actual}, expected ${expected}`);
}

function send(message: FromWorker): void {
  faultPoint('worker.reply.before'); // @fault
  if (corruptFrame('worker.reply.frame', message, encodeFrame, stream)) return; // @fault
  channel.send(message);
  faultPoint('worker.reply.after'); // @fault
}

/** Keeps an even lower priority that the process was started with: raising it requires a privilege. */
function lowerPriority(): void {
  try {
    if (os.getPriority() < NICE) os.setPriority(NICE);
  } catch {
    // Not permitted: the worker keeps the server's priority.
  }
}

/** Makes the kernel's OOM killer prefer a worker over the server. Raising the score requires no privilege. */
function raiseOomScore(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '900');
  } catch {
    // Not Linux, or not permitted: the OOM killer uses its defaults.
  }
}

faultPoint('worker.start'); // @fault
lowerPriority();
raiseOomScore();
// Must come after `lowerPriority`: a thread inherits the priority at the time it starts.
const sessions = new SessionThread();
const runtime: WorkerRuntime = {
  tools: { imageToFloats: images.imageToFloats },
  readArtifact: readVerified,
  makeThumbnail: images.makeThumbnail,
  hidePatches: images.hidePatches,
  verifyFile,
  // Without data files, the working folder, which is empty.
  openSession: (bytes, provider, dataFolder, inMainThread) => {
    const options = { provider, dataFolder: dataFolder ?? process.cwd() };
    return inMainThread ? openSessionHere(bytes, options) : sessions.open(bytes, options);
  },
  messagesRead: () => setImmediate(),
  openTokenizer: (bytes) => {
    const { tokenizer, config } = JSON.parse(Buffer.from(bytes).toString());
    return openTokenizer(tokenizer, config);
  },
  dataBytes: async () => (await processMemory('self'))?.dataBytes ?? null,
  freeNativeMemory,
  cpuMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  },
  watchMemory,
};
const stream = new Socket({ fd: CHANNEL_FD, readable: true, writable: true });
const channel: FrameChannel<FromWorker> = new FrameChannel(stream, {
  onMessage: (message) => body.receive(message as ToWorker),
  onProtocolError: () => process.exit(1),
});
const body = new WorkerBody(runtime, send);
// `process.exit` would wait for the session thread, or abort in the middle of a run.
stream.on('close', () => process.kill(process.pid, 'SIGKILL'));
// Ctrl-C in a terminal signals the whole process group, but only the server decides when its workers stop.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
await sessions.started;
send({ kind: 'ready' });
faultPoint('worker.ready'); // @fault
