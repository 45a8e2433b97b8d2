/**
 * Fault points: named places at which a test makes this process fail. They exist in test builds only: the build for
 * production drops this file and every line that ends in `// @fault`.
 *
 * A test writes one fault as JSON to the file that `FAULT_FILE` names: `{ id, point, nth, action }`. Whichever process
 * or thread reaches that point for the nth time since then takes the file away, so that it fires once, and fails.
 * A point that ends in `*` stands for all that begin so, counted together. What has fired is noted in `FAULT_LOG`, so
 * that a run of all tests can tell whether every point was reached.
 */
import { appendFileSync, existsSync, readFileSync, renameSync } from 'node:fs';
import type { Writable } from 'node:stream';

export interface Fault {
  readonly id: string;
  readonly point: string;
  readonly nth: number;
  /**
   * A signal's name, `exit`, `hang`, `pause` (until the file of that name and `.go` is there), a system error's code
   * (`ENOSPC`), or `SQLITE_` with a result code.
   */
  readonly action: string;
}

const SQLITE_RESULT_CODES: Readonly<Record<string, number>> = { SQLITE_BUSY: 5, SQLITE_IOERR: 10, SQLITE_FULL: 13 };

let counted: { id: string; count: number } = { id: '', count: 0 };

export function faultPoint(name: string): void {
  const fault = faultDueAt(name);
  if (fault) fire(fault.action, name);
}

/** The fault that waits here, if this is the time, and nobody else takes it. */
function faultDueAt(name: string): Fault | null {
  const fault = readFault();
  if (!fault || !matchesPoint(fault.point, name)) return null;
  if (counted.id !== fault.id) counted = { id: fault.id, count: 0 };
  counted.count++;
  return counted.count === fault.nth && claim(name) ? fault : null;
}

function readFault(): Fault | null {
  try {
    return JSON.parse(readFileSync(process.env['FAULT_FILE'] ?? '', 'utf8')) as Fault;
  } catch {
    return null;
  }
}

function matchesPoint(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/** Of several processes that come here at once, one renames the file and the others do not find it any more. */
function claim(name: string): boolean {
  const { FAULT_FILE: file = '', FAULT_LOG: log } = process.env;
  try {
    // Noted first: who sees the file gone may end this process at once.
    if (log) appendFileSync(log, `${name}\n`);
    renameSync(file, `${file}.fired`);
    return true;
  } catch {
    return false;
  }
}

function pause(): void {
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  while (!existsSync(`${process.env['FAULT_FILE']}.go`)) Atomics.wait(sleeper, 0, 0, PAUSE_STEP_MS);
}

const PAUSE_STEP_MS = 2;

function fire(action: string, point: string): void {
  if (action === 'exit') process.exit(1);
  if (action === 'hang') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  else if (action === 'pause') pause();
  else if (action.startsWith('SIG')) {
    process.kill(process.pid, action);
    // The signal may be delivered a moment later; nothing more happens until then.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  } else if (action.startsWith('SQLITE_')) {
    const errcode = SQLITE_RESULT_CODES[action];
    throw Object.assign(new Error(`${action} at ${point}`), { code: 'ERR_SQLITE_ERROR', errcode });
  } else throw Object.assign(new Error(`${action} at ${point}`), { code: action });
}

/**
 * Sends a frame that is cut (and ends the process), has one bit flipped, or says that it is huge, if that is the fault
 * that waits here. Answers whether it did.
 */
export function corruptFrame(name: string, encode: () => Buffer, stream: Writable): boolean {
  const fault = faultDueAt(name);
  if (!fault) return false;
  const frame = encode();
  if (fault.action === 'flip') frame[frame.length - 2] = (frame.at(-2) ?? 0) ^ 1;
  if (fault.action === 'huge') frame.writeUInt32LE(0xffff_fff0, 0);
  const isCut = fault.action === 'cut';
  stream.write(isCut ? frame.subarray(0, frame.length / 2) : frame, () => isCut && fire('SIGKILL', name));
  return true;
}
