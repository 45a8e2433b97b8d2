/**
 * Entry of a worker process: connects the body to the channel and to the native runtime. Nobody imports this file.
 *
 * It runs with low priority, in an empty folder, with a nearly empty environment, and ends with its parent.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import os from 'node:os';
import { CHANNEL_FD } from '../engine/child.js';
import { encodeFrame, FrameChannel } from '../engine/frames.js';
import type { FromWorker, ToWorker } from '../engine/messages.js';
import { UnreadableItemError } from '../tasks/failures.js';
import { corruptFrame, faultPoint } from '../fault-points.js'; // @fault
import { type Runtime, WorkerBody } from './body.js';
import { imageToFloats, UnreadableImageError } from './native/image.js';
import { SessionThread } from './native/session-thread.js';
import { openTokenizer } from './native/tokenizer.js';

/** Behind the server, which only passes things on, but not so far that a busy neighbour starves it. */
const NICE = 5;

/** What is wrong with a picture is its sender's to mend. */
function throwAsUnreadable(error: unknown): never {
  if (!(error instanceof UnreadableImageError)) throw error;
  const isTooLarge = /pixel limit/.test(error.message);
  throw new UnreadableItemError({
    code: isTooLarge ? 'TOO_LARGE' : 'UNREADABLE',
    path: ['image', 'base64'],
    message: isTooLarge ? 'the picture has too many pixels' : 'the picture is damaged or cut short',
    expected: isTooLarge ? 'a smaller picture' : 'a complete JPEG, PNG or WebP picture',
  });
}

/** Reading, hashing and loading see the same bytes: a file swapped in between cannot get in. */
async function readVerified(file: string, expectedSha256: string): Promise<Uint8Array> {
  const bytes = await readFile(file);
  faultPoint('worker.artifact.read'); // @fault
  const actual = createHash('sha256').update(bytes).digest('hex');
  faultPoint('worker.artifact.hashed'); // @fault
  if (actual !== expectedSha256)
    throw new Error(`the artifact is damaged: its SHA-256 is ${actual}, not ${expectedSha256}`);
  return bytes;
}

function send(message: FromWorker): void {
  faultPoint('worker.reply.before'); // @fault
  if (corruptFrame('worker.reply.frame', () => encodeFrame(message), stream)) return; // @fault
  channel.send(message);
  faultPoint('worker.reply.after'); // @fault
}

/** One that was started with a lower priority yet keeps it: to raise it is not allowed to everyone. */
function lowerPriority(): void {
  try {
    if (os.getPriority() < NICE) os.setPriority(NICE);
  } catch {
    // Not allowed: then it has the priority that it has.
  }
}

/** When memory runs out, the kernel should take a worker and not the server. Raising needs no privilege. */
function raiseOomScore(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '900');
  } catch {
    // Not Linux, or not allowed: then the kernel chooses as it likes.
  }
}

faultPoint('worker.start'); // @fault
lowerPriority();
raiseOomScore();
// Threads have the priority of the moment in which they begin.
const sessions = new SessionThread();
const runtime: Runtime = {
  tools: { imageToFloats: (bytes, spec, maxPixels) => imageToFloats(bytes, spec, maxPixels).catch(throwAsUnreadable) },
  readArtifact: readVerified,
  openSession: (bytes, provider) => sessions.open(bytes, { provider, emptyFolder: process.cwd() }),
  openTokenizer: (bytes) => {
    const { tokenizer, config } = JSON.parse(Buffer.from(bytes).toString());
    return openTokenizer(tokenizer, config);
  },
};
const stream = new Socket({ fd: CHANNEL_FD, readable: true, writable: true });
const channel: FrameChannel<FromWorker, ToWorker> = new FrameChannel(stream, {
  onMessage: (message) => body.receive(message),
  onProtocolError: () => process.exit(1),
});
const body = new WorkerBody(runtime, send);
// An exit would wait for the thread, or abort in the middle of a run.
stream.on('close', () => process.kill(process.pid, 'SIGKILL'));
// A terminal's Ctrl-C reaches the whole group: the parent decides when its workers end.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
await sessions.started;
send({ kind: 'ready' });
faultPoint('worker.ready'); // @fault
