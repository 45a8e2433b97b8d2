/** Runs the built commands. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `name`: as in `dist/`, such as "fsck". */
export async function runCommand(name: string, args: readonly string[], env: Record<string, string>): Promise<Ended> {
  return run(process.execPath, [`dist/${name}.js`, ...args], { env: { ...process.env, ...env } }).then(
    (ended) => ({ code: 0, ...ended }),
    (error) => error,
  );
}
