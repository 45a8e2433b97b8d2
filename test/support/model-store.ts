/** A temporary model store. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

export interface TestStore {
  readonly folder: string;
  /** Writes files of a model or dataset; the keys are paths inside its folder. */
  readonly write: (name: string, files: Readonly<Record<string, string | Buffer>>) => Promise<void>;
  readonly remove: () => Promise<void>;
}

export async function createStore(): Promise<TestStore> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-store-'));
  return {
    folder,
    write: async (name, files) => {
      for (const [file, content] of Object.entries(files)) {
        const target = path.join(folder, name, file);
        await mkdir(path.dirname(target), { recursive: true });
        await writeFile(target, content);
      }
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
