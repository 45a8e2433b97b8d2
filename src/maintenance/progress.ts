/** Progress of long commands, on a stream for people. */
import type { Progress } from './problem.js';

const EVERY_MS = 2_000;

/** Writes a line when something has taken two seconds, and every two seconds from then on. */
export function progressOn(stream: NodeJS.WritableStream): Progress {
  let shownAt = performance.now();
  return (what, done) => {
    const now = performance.now();
    if (now - shownAt < EVERY_MS) return;
    shownAt = now;
    stream.write(`${done.toLocaleString('en-US')} ${what}\n`);
  };
}
