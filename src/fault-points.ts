/**
 * Fault points: named places in the code at which a test can make this process fail. They exist in test builds only.
 * The production build removes this file and every line that ends in `// @fault`.
 *
 * A test writes one fault, `{ id, point, nth, action }`, as JSON to the file named by `FAULT_FILE`. The first process
 * or thread that reaches the point for the nth time renames the file, so that the fault fires only once, and fails.
 * A point that ends in `*` matches all points with that prefix and counts them together. Fired faults are appended to
 * the file named by `FAULT_LOG`, so that a full test run can check that every point was reached.
 */
import { appendFileSync, existsSync, readFileSync, renameSync } from 'node:fs';
import type { Writable } from 'node:stream';

export interface Fault {
  readonly id: string;
  readonly point: string;
  readonly nth: number;
  /**
   * One of: a signal name, `exit`, `hang`, `pause` (until the file `${FAULT_FILE}.go` exists), a system error code such
   * as `ENOSPC`, a SQLite result code such as `SQLITE_FULL`, or, for frames, one of those in `corruptFrame`.
   */
  readonly action: string;
}

const SQLITE_RESULT_CODES: Readonly<Record<string, number>> = { SQLITE_BUSY: 5, SQLITE_IOERR: 10, SQLITE_FULL: 13 };

let counted: { id: string; count: number } = { id: '', count: 0 };

export function faultPoint(name: string): void {
  const fault = faultDueAt(name);
  if (fault) fire(fault.action, name);
}

/** The fault that must fire at this point now; null if there is none or another process has claimed it. */
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

/** Claims the fault by renaming its file. Of several processes, only one succeeds. */
function claim(name: string): boolean {
  const { FAULT_FILE: file = '', FAULT_LOG: log } = process.env;
  try {
    // Logged before the rename: a test that sees the rename may kill this process at once.
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
    // Blocks this thread until the signal is delivered.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  } else if (action.startsWith('SQLITE_')) {
    const errcode = SQLITE_RESULT_CODES[action];
    throw Object.assign(new Error(`${action} at ${point}`), { code: 'ERR_SQLITE_ERROR', errcode });
  } else throw Object.assign(new Error(`${action} at ${point}`), { code: action });
}

/**
 * If a fault is due, sends the message corrupted instead: `cut` sends half of its frame and kills the process, `flip` flips
 * one bit, `huge` inflates its length, and a JSON object replaces fields of the message. Returns whether it did.
 */
export function corruptFrame<T extends object>(
  name: string,
  message: T,
  encode: (message: T) => Buffer,
  stream: Writable,
): boolean {
  const fault = faultDueAt(name);
  if (!fault) return false;
  const fields = fault.action.startsWith('{') ? JSON.parse(fault.action) : {};
  const frame = encode({ ...message, ...fields });
  if (fault.action === 'flip') frame[frame.length - 2] = (frame.at(-2) ?? 0) ^ 1;
  if (fault.action === 'huge') frame.writeUInt32LE(0xffff_fff0, 0);
  const isCut = fault.action === 'cut';
  stream.write(isCut ? frame.subarray(0, frame.length / 2) : frame, () => isCut && fire('SIGKILL', name));
  return true;
}
