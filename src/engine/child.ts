/**
 * One worker process as an operating system process: start it, send it messages, kill it.
 *
 * The process runs in an empty folder with a minimal environment. It is confined by whichever of these tools the
 * platform provides: `prlimit` (memory limit, no core dumps), `unshare` (no network, probes only) and `setpriv` (the
 * kernel kills the worker when the server dies, even by SIGKILL).
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { promisify } from 'node:util';
import { type ProcessMemory, processMemory } from '../process-memory.js';
import { CHANNEL_FD, FrameChannel } from './frames.js';
import type { ToWorker } from './messages.js';

/**
 * Why the process was started: `pool` serves requests, `spare` is the warm standby, `quarantine` runs inputs one at a
 * time, and `probe` loads an untrusted artifact once and is then discarded.
 */
export type Purpose = 'pool' | 'spare' | 'quarantine' | 'probe';

export interface ChildEvents {
  /** The message may be any value: only its bytes have been checked. */
  onMessage(message: unknown): void;
  /** The process sent bytes that do not form a valid frame. */
  onProtocolError(reason: string): void;
  /** What a probe writes to stderr. Other workers write to the server's. */
  onStderr?(text: string): void;
  /** Called exactly once, after every other event. `how` describes the exit, for example `signal SIGKILL`. */
  onExit(signal: NodeJS.Signals | null, how: string): void;
}

export interface Child {
  readonly pid: number;
  /** @throws Error if the message cannot be cloned or is too long; nothing is sent then */
  send(message: ToWorker): void;
  /** Sends SIGKILL: native code does not respond to any other signal. */
  kill(): void;
  /**
   * Current memory, without the address space that Node reserves: `dataBytes` is what `WORKER_MEMORY_BYTES` limits. Null
   * on platforms without `/proc`, and after the exit.
   */
  memory(): Promise<ProcessMemory | null>;
}

/** `gpu`: the only one that CUDA sees in the process, as `CUDA_VISIBLE_DEVICES` names it; undefined for those of the server. */
export type StartChild = (purpose: Purpose, events: ChildEvents, gpu?: string) => Child;

interface LaunchOptions {
  /** The compiled entry file of the worker. */
  readonly file: string;
  readonly emptyFolder: string;
  readonly memoryBytes: number;
  /**
   * Whether a process that starts now may use a GPU. Software Vulkan keeps the code that it compiles in files in memory,
   * and a limit on the size of files would end the process with SIGBUS.
   */
  readonly mayUseGpu: () => boolean;
}

/** Paths of the tools that confine a child; null for a tool that is missing or not permitted. */
interface Confinement {
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

/** Creating a network namespace may be forbidden on this host. The only way to find out is to try. */
async function testUnshare(unshare: string): Promise<string | null> {
  const tried = promisify(execFile)(unshare, [...NO_NETWORK, 'true'], { timeout: 5_000 });
  return tried.then(
    () => unshare,
    () => null,
  );
}

const NO_NETWORK = ['--map-root-user', '--net'];

export function childStarter(launch: LaunchOptions, confinement: Confinement): StartChild {
  return (purpose, events, gpu) => {
    const child = spawnWorker(launch, confinement, purpose, gpu);
    // A process that could not be spawned emits `error` but never `exit`, and may have no streams.
    const stream = child.stdio?.[CHANNEL_FD] as Duplex | undefined;
    const channel = stream && new FrameChannel<ToWorker>(stream, events);
    const panic = panicOf(child);
    if (events.onStderr) child.stderr?.on('data', events.onStderr);
    child.on('error', (error) => child.pid ?? events.onExit(null, error.message));
    // `close` waits until a probe's stderr has been read completely.
    child.once(child.stderr ? 'close' : 'exit', (code, signal) => {
      if (child.pid) events.onExit(signal, (signal ? `signal ${signal}` : `exit code ${code}`) + panic());
    });
    return {
      pid: child.pid ?? 0,
      send: (message) => channel?.send(message),
      kill: () => child.kill('SIGKILL'),
      memory: () => memoryOf(child.pid),
    };
  };
}

const MAX_STDERR_CHARACTERS = 10_000;
const PANIC =
  /panicked at .*\n(.{1,200})|(memory allocation of \d+ bytes failed|std::bad_alloc|\b\w.{0,60}out of memory)/;

/**
 * What a Rust library, C++ or V8 wrote to a probe's stderr before it aborted the process. It says more than the signal
 * does.
 */
function panicOf({ stderr }: ChildProcess): () => string {
  let written = '';
  stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (written.length < MAX_STDERR_CHARACTERS) written += text;
  });
  return () => {
    const [, panic, failure] = PANIC.exec(written) ?? [];
    const reason = panic ?? failure;
    return reason ? `: ${reason}` : '';
  };
}

async function memoryOf(pid: number | undefined): Promise<ProcessMemory | null> {
  const memory = pid === undefined ? null : await processMemory(pid);
  return memory && { ...memory, dataBytes: Math.max(0, memory.dataBytes - NODE_RESERVED_BYTES) };
}

/** The only variables a worker inherits: native libraries need them to find devices. None holds a secret. */
const INHERITED_ENV = ['PATH', 'LD_LIBRARY_PATH', 'CUDA_VISIBLE_DEVICES', 'VK_DRIVER_FILES', 'TMPDIR', 'SystemRoot'];

/**
 * V8 would let the garbage of short messages grow to over 100 MB per worker before it collects it. With 4 MiB, a worker
 * stays at 160 instead of 270 MB and takes as much CPU time.
 */
const V8_OPTIONS = ['--max-semi-space-size=4'];

function spawnWorker(
  { file, emptyFolder, memoryBytes, mayUseGpu }: LaunchOptions,
  confinement: Confinement,
  purpose: Purpose,
  gpu: string | undefined,
): ChildProcess {
  const passedOn = [...INHERITED_ENV];
  passedOn.push('FAULT_FILE', 'FAULT_LOG'); // @fault
  const env = Object.fromEntries(passedOn.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
  const limits = purpose === 'probe' ? [...PROBE_LIMITS, ...(mayUseGpu() ? [] : [PROBE_FILE_LIMIT])] : null;
  const command = [...confinementCommand(confinement, memoryBytes, limits), process.execPath, ...V8_OPTIONS, file];
  return spawn(command[0] as string, command.slice(1), {
    cwd: emptyFolder,
    env: {
      ...env,
      ...(gpu === undefined ? {} : { CUDA_VISIBLE_DEVICES: gpu }),
      ORT_DISABLE_TELEMETRY: '1',
      // CUDA would round the factors of matrix products of batches to 10 bits (TF32), and answers would differ by 1e-3.
      NVIDIA_TF32_OVERRIDE: '0',
      // glibc would keep the freed memory of each thread that ever tokenized a long text, and of weights below 32 MB.
      MALLOC_ARENA_MAX: '1',
      MALLOC_MMAP_THRESHOLD_: '1048576',
    },
    // A probe's stderr is read for panic messages, which become part of its exit. Others write to the server's stderr.
    stdio: ['ignore', 'ignore', purpose === 'probe' ? 'pipe' : 'inherit', 'pipe'],
  });
}

/**
 * Address space that Node reserves at start but does not use: V8 keeps 512 MiB for the machine code of the main thread and
 * 32 MiB for that of the session thread, and each of nine threads has a stack of 8 MiB. The kernel counts all of it as data
 * memory (`VmData`), so it is added to the limit and subtracted from what is judged. Measured with Node 24.21: `VmData` of
 * an idle worker is 687 MB, of which 28 MB are resident.
 */
const NODE_RESERVED_BYTES = 640_000_000;

/** A probe gets at most 60 s of CPU time and 256 open files. */
const PROBE_LIMITS = ['--cpu=60', '--nofile=256'];
/** Files of at most 64 KiB, unless a GPU is in use. */
const PROBE_FILE_LIMIT = '--fsize=65536';

/**
 * The command prefix that confines a worker. Each tool replaces itself with the next by `exec`, so the child's pid is
 * that of Node and signals reach it. `setpriv` comes last because a change of user namespace resets its setting. Only
 * probes lose network access: they load files that have not been validated yet.
 */
function confinementCommand(
  { setpriv, prlimit, unshare }: Confinement,
  memoryBytes: number,
  probeLimits: readonly string[] | null,
): string[] {
  return [
    ...(prlimit ? [prlimit, `--data=${memoryBytes + NODE_RESERVED_BYTES}`, '--core=0', ...(probeLimits ?? [])] : []),
    ...(unshare && probeLimits ? [unshare, ...NO_NETWORK] : []),
    ...(setpriv ? [setpriv, '--pdeathsig', 'KILL'] : []),
  ];
}
