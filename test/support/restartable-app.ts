/** An app that one test starts several times, with the same model store and data folder. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { type Data, startTestApp, type TestApp } from './app.js';
import { disarmFault } from './faults.js';
import { createStore, type TestStore } from './model-store.js';

export class RestartableApp {
  /** Of the app since it was started last. */
  readonly lines: Data[] = [];
  #app: TestApp | null = null;

  private constructor(
    readonly store: TestStore,
    readonly dataDir: string,
  ) {}

  static async create(): Promise<RestartableApp> {
    const dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-restarts-'));
    return new RestartableApp(await createStore(), dataDir);
  }

  /** The app that was started last. */
  get running(): TestApp {
    return this.#app as TestApp;
  }

  /** Starts the app, and stops it first if it runs. `level`: of the lines that are kept. */
  async start(settings: Parameters<typeof startTestApp>[0] = {}, level = 'info'): Promise<TestApp> {
    await this.#app?.app.stop();
    this.lines.length = 0;
    const log = pino({ level }, { write: (line: string) => this.lines.push(JSON.parse(line)) });
    this.#app = await startTestApp({ modelStore: this.store.folder, dataDir: this.dataDir, log, ...settings });
    return this.#app;
  }

  async stop(): Promise<void> {
    await this.#app?.app.stop();
    this.#app = null;
  }

  async remove(): Promise<void> {
    await disarmFault();
    await this.stop();
    await this.store.remove();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}
