/**
 * Entry of a worker process: connects the body to the channel and to the native runtime. Nobody imports this file.
 *
 * It runs with low priority, in an empty folder, with a nearly empty environment, and ends with its parent.
 */
import os from 'node:os';
import { imageToFloats, UnreadableImage } from '../tasks/native/image.js';
import { Session } from '../tasks/native/session.js';
import type { FromWorker, ToWorker } from './messages.js';
import { type Runtime, WorkerBody } from './worker-body.js';

/** Behind the server, which only passes things on, but not so far that a busy neighbour starves it. */
const NICE = 5;

const runtime: Runtime = {
  tools: { imageToFloats },
  openSession: (bytes, provider) => Session.open(bytes, { provider, emptyFolder: process.cwd() }),
  describeInputFailure: (error) => {
    if (!(error instanceof UnreadableImage)) return null;
    const code = /pixel limit/.test(error.message) ? 'TOO_LARGE' : 'UNREADABLE';
    return { kind: 'input', code, message: `the picture cannot be read: ${error.message}` };
  },
};

function send(message: FromWorker): void {
  // The channel may have closed with the parent; then there is nobody left to tell.
  if (process.connected) process.send?.(message);
}

os.setPriority(NICE);
const body = new WorkerBody(runtime, send);
process.on('message', (message: ToWorker) => body.receive(message));
process.on('disconnect', () => process.exit(0));
// A terminal's Ctrl-C reaches the whole group: the parent decides when its workers end.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
send({ kind: 'ready' });
