/**
 * One worker process, from the outside: start, send, kill.
 *
 * It starts under what the platform has of `prlimit` (memory, no core dumps), `unshare` (no network) and `setpriv` (it
 * ends when we end, even by SIGKILL), in an empty folder, with a nearly empty environment.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { promisify } from 'node:util';
import { FrameChannel } from './frames.js';
import type { FromWorker, ToWorker } from './messages.js';

/** What it is started for: to serve, to run suspects alone, or for one question about something new. */
export type Purpose = 'pool' | 'spare' | 'quarantine' | 'probe';

export interface ChildEvents {
  onMessage(message: FromWorker): void;
  /** It sent bytes that are no message. */
  onProtocolError(reason: string): void;
  /** Called once, last. */
  onExit(signal: NodeJS.Signals | null, how: string): void;
}

export interface Child {
  readonly pid: number;
  send(message: ToWorker): void;
  /** SIGKILL: native code listens to nothing else. */
  kill(): void;
  /** Resident memory now; null where it cannot be known. */
  residentBytes(): Promise<number | null>;
}

export type StartChild = (purpose: Purpose, events: ChildEvents) => Child;

export interface LaunchOptions {
  /** The compiled entry file. */
  readonly file: string;
  readonly emptyFolder: string;
  readonly memoryBytes: number;
}

/** What this platform can do to confine a child. */
export interface Confinement {
  readonly setpriv: string | null;
  readonly prlimit: string | null;
  readonly unshare: string | null;
}

export async function findConfinement(): Promise<Confinement> {
  if (process.platform !== 'linux') return { setpriv: null, prlimit: null, unshare: null };
  const find = (name: string) => ['/usr/bin', '/bin'].map((folder) => `${folder}/${name}`).find(existsSync) ?? null;
  const unshare = find('unshare');
  return { setpriv: find('setpriv'), prlimit: find('prlimit'), unshare: unshare && (await testUnshare(unshare)) };
}

/** A namespace of its own may be forbidden here: only trying tells. */
async function testUnshare(unshare: string): Promise<string | null> {
  const tried = promisify(execFile)(unshare, [...NO_NETWORK, 'true'], { timeout: 5_000 });
  return tried.then(
    () => unshare,
    () => null,
  );
}

const NO_NETWORK = ['--map-root-user', '--net'];

export function childStarter(launch: LaunchOptions, confinement: Confinement): StartChild {
  return (purpose, events) => {
    const child = spawnWorker(launch, confinement, purpose);
    // One that never began has no `exit`, and perhaps no streams.
    const stream = child.stdio?.[CHANNEL_FD] as Duplex | undefined;
    const channel = stream && new FrameChannel<ToWorker, FromWorker>(stream, events);
    const panic = panicOf(child);
    child.on('error', (error) => child.pid ?? events.onExit(null, error.message));
    // Standard error of a probe is complete only when it is closed.
    child.once(child.stderr ? 'close' : 'exit', (code, signal) => {
      if (child.pid) events.onExit(signal, (signal ? `signal ${signal}` : `exit code ${code}`) + panic());
    });
    return {
      pid: child.pid ?? 0,
      send: (message) => channel?.send(message),
      kill: () => child.kill('SIGKILL'),
      residentBytes: () => residentBytesOf(child.pid),
    };
  };
}

const MAX_STDERR_CHARACTERS = 10_000;

/** What a library in Rust wrote on standard error before it ended the process, which says more than the signal does. */
function panicOf({ stderr }: ChildProcess): () => string {
  let written = '';
  stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (written.length < MAX_STDERR_CHARACTERS) written += text;
  });
  return () => {
    const [, reason = ''] = /panicked at [^\n]*\n([^\n]{1,200})/.exec(written) ?? [];
    return reason && `: ${reason}`;
  };
}

/** The worker's end of the channel. */
export const CHANNEL_FD = 3;

const PAGE_BYTES = 4096;

async function residentBytesOf(pid: number | undefined): Promise<number | null> {
  const statm = await readFile(`/proc/${pid}/statm`, 'utf8').catch(() => null);
  return statm === null ? null : Number(statm.split(' ')[1]) * PAGE_BYTES;
}

/** What native libraries need to find their devices; no secret, no configuration. */
const INHERITED_ENV = ['PATH', 'LD_LIBRARY_PATH', 'CUDA_VISIBLE_DEVICES', 'VK_DRIVER_FILES', 'TMPDIR', 'SystemRoot'];

function spawnWorker(
  { file, emptyFolder, memoryBytes }: LaunchOptions,
  confinement: Confinement,
  purpose: Purpose,
): ChildProcess {
  const passedOn = [...INHERITED_ENV];
  passedOn.push('FAULT_FILE', 'FAULT_LOG'); // @fault
  const env = Object.fromEntries(passedOn.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
  const command = [...confinementCommand(confinement, memoryBytes, purpose), process.execPath, file];
  return spawn(command[0] as string, command.slice(1), {
    cwd: emptyFolder,
    env: { ...env, ORT_DISABLE_TELEMETRY: '1' },
    // What a probe complains of is the model's owner's to read; complaints of others are the operator's.
    stdio: ['ignore', 'ignore', purpose === 'probe' ? 'pipe' : 'inherit', 'pipe'],
  });
}

/**
 * What V8 sets aside for the thread of the sessions: no memory is taken for it, but it counts as data. So much was
 * measured with Node 24.21, and a little is added.
 */
const V8_RESERVED_BYTES = 560_000_000;

/** A probe computes for a minute at most, and writes no file to speak of. */
const PROBE_LIMITS = ['--cpu=60', '--fsize=65536', '--nofile=256'];

/**
 * Each wrapper executes the next, so that the child's pid is Node's and a signal reaches it. `setpriv` comes last: a
 * change of user namespace would undo it. Only probes are cut from the network: what they load was never looked at.
 */
function confinementCommand(
  { setpriv, prlimit, unshare }: Confinement,
  memoryBytes: number,
  purpose: Purpose,
): string[] {
  const isProbe = purpose === 'probe';
  return [
    ...(prlimit
      ? [prlimit, `--data=${memoryBytes + V8_RESERVED_BYTES}`, '--core=0', ...(isProbe ? PROBE_LIMITS : [])]
      : []),
    ...(unshare && isProbe ? [unshare, ...NO_NETWORK] : []),
    ...(setpriv ? [setpriv, '--pdeathsig', 'KILL'] : []),
  ];
}
