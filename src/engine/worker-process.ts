/**
 * One worker process as the server sees it: start, send, receive, kill. It owns the batches that it was given, so a
 * death concerns exactly those.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { EngineVersion, FromWorker, ToWorker } from './messages.js';
import type { Entry } from './queue.js';
import { causeOfEnd, type EndCause } from './supervision.js';

export interface WorkerLaunch {
  /** The compiled entry file. */
  readonly file: string;
  readonly emptyFolder: string;
  readonly memoryBytes: number;
  /** Wrappers that exist on this platform: they limit memory and tie the child's life to ours. */
  readonly wrappers: readonly string[];
}

export interface OutstandingBatch {
  readonly id: number;
  readonly version: EngineVersion;
  readonly entries: readonly Entry[];
  readonly rows: number;
  readonly takenAt: number;
  startedAt: number | null;
}

export interface WorkerEvents {
  onMessage(worker: WorkerProcess, message: FromWorker): void;
  onEnd(worker: WorkerProcess, cause: EndCause, how: string): void;
}

export type WorkerState = 'STARTING' | 'READY' | 'BUSY' | 'QUARANTINE' | 'STOPPING';

export class WorkerProcess {
  readonly #child: ChildProcess;
  /** Oldest first; the first one runs, a second one waits there prepared. */
  readonly batches: OutstandingBatch[] = [];
  readonly loaded = new Set<string>();
  readonly loading = new Map<string, PromiseWithResolvers<void> & { readonly version: EngineVersion }>();
  isReady = false;
  /** It has loaded or answered something: its start did not fail. */
  hasWorked = false;
  readonly #ended = Promise.withResolvers<void>();
  #endedByUs: 'stopped' | 'watchdog' | null = null;

  constructor(
    launch: WorkerLaunch,
    readonly purpose: 'pool' | 'quarantine' | 'probe',
    readonly restarts: number,
    events: WorkerEvents,
  ) {
    this.#child = start(launch, purpose === 'probe' ? 'ignore' : 'inherit');
    this.#child.on('message', (message: FromWorker) => events.onMessage(this, message));
    const end = (signal: NodeJS.Signals | null, how: string) => {
      events.onEnd(this, causeOfEnd(signal, this.#endedByUs), how);
      this.#ended.resolve();
    };
    // A failed send means that the process is going, and its end says the rest; one that never began has no end.
    this.#child.on('error', (error) => this.#child.pid ?? end(null, error.message));
    this.#child.once('exit', (code, signal) => end(signal, signal ? `signal ${signal}` : `exit code ${code}`));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves when the process has ended. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get state(): WorkerState {
    if (this.#endedByUs) return 'STOPPING';
    if (!this.isReady) return 'STARTING';
    if (this.purpose === 'quarantine') return 'QUARANTINE';
    return this.batches.length > 0 ? 'BUSY' : 'READY';
  }

  send(message: ToWorker): void {
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  kill(reason: 'stopped' | 'watchdog'): void {
    this.#endedByUs ??= reason;
    this.#child.kill('SIGKILL');
  }

  /** Resident memory now, from the kernel; 0 where it cannot be known. */
  async residentBytes(): Promise<number> {
    const statm = await readFile(`/proc/${this.pid}/statm`, 'utf8').catch(() => '0 0');
    return Number(statm.split(' ')[1]) * PAGE_BYTES;
  }
}

const PAGE_BYTES = 4096;

/** What native libraries need to find their devices; no secret, no configuration. */
const PASSED_ON = ['PATH', 'LD_LIBRARY_PATH', 'CUDA_VISIBLE_DEVICES', 'VK_DRIVER_FILES', 'TMPDIR', 'SystemRoot'];

/** A probe's native complaints come back as its reply; those of others are for the operator's eyes. */
function start({ file, emptyFolder, memoryBytes, wrappers }: WorkerLaunch, stderr: 'ignore' | 'inherit'): ChildProcess {
  const env = Object.fromEntries(PASSED_ON.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
  const command = [...wrapperArguments(wrappers, memoryBytes), process.execPath, file];
  return spawn(command[0] as string, command.slice(1), {
    cwd: emptyFolder,
    env: { ...env, ORT_DISABLE_TELEMETRY: '1' },
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', stderr, 'ipc'],
  });
}

/** Each wrapper executes the next, so that the child's pid is Node's and a signal reaches it. */
function wrapperArguments(wrappers: readonly string[], memoryBytes: number): string[] {
  return wrappers.flatMap((wrapper) => {
    if (wrapper.endsWith('setpriv')) return [wrapper, '--pdeathsig', 'KILL'];
    return [wrapper, `--data=${memoryBytes}`, '--core=0'];
  });
}
