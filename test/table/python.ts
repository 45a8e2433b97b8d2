/** Runs the Python modules that make the cases, each in an environment with the pins of its family. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const HERE = import.meta.dirname;
/** Ignored by git; environments and cases stay there for the next run. */
export const CACHE = path.join(HERE, '.cache');

/** The families: those with a file of requirements. */
export function families(): string[] {
  return readdirSync(HERE).flatMap((file) => /^requirements-(\w+)\.txt$/.exec(file)?.[1] ?? []);
}

/** Writes the cases of a family, and returns the folder that has them: `<kind>/<case>/`. @throws Error */
export async function buildCases(family: string): Promise<string> {
  const folder = path.join(CACHE, 'cases', family);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const python = process.env['TABLE_PYTHON'] ?? (await environmentOf(family));
  const code = 'import importlib, pathlib, sys; importlib.import_module(sys.argv[1]).build(pathlib.Path(sys.argv[2]))';
  await run(python, ['-B', '-c', code, family, folder]);
  return folder;
}

/** The Python of an environment with the family's requirements. Families with the same requirements share one. */
async function environmentOf(family: string): Promise<string> {
  const requirements = path.join(HERE, `requirements-${family}.txt`);
  const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const folder = path.join(CACHE, `environment-${digest}`);
  const python = path.join(folder, 'bin/python');
  const finished = path.join(folder, 'finished');
  if (existsSync(finished)) return python;
  const interpreter = interpreterOf(process.env['PYTHON']);
  console.log(`installing ${path.basename(requirements)} …`);
  await run(interpreter, ['-m', 'venv', '--clear', folder]);
  await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements]);
  writeFileSync(finished, '');
  return python;
}

/** For releases before this one the pinned packages do not exist. */
const OLDEST_PYTHON = [3, 12] as const;
/** In this order, if PYTHON is not set. */
const INTERPRETERS = ['python3.12', 'python3.13', 'python3'];

/** A Python that the pins can be installed into: `named`, or else the first one on the PATH. @throws Error */
function interpreterOf(named: string | undefined): string {
  const tried = named ? [named] : INTERPRETERS;
  const found = tried.find((command) => isRecent(versionOf(command)));
  if (found) return found;
  const versions = tried.map(
    (command) => `${command} is ${versionOf(command)?.join('.') ?? 'not there or does not run'}`,
  );
  throw new Error(
    `the pinned packages need Python ${OLDEST_PYTHON.join('.')} or later; ${versions.join(', ')}. Set PYTHON to the path of one`,
  );
}

function versionOf(command: string): readonly number[] | null {
  const { status, stdout } = spawnSync(command, ['-c', 'import sys; print(*sys.version_info[:2])'], {
    encoding: 'utf8',
  });
  return status === 0 ? stdout.trim().split(' ').map(Number) : null;
}

function isRecent(version: readonly number[] | null): boolean {
  const [major = 0, minor = 0] = version ?? [];
  return major > OLDEST_PYTHON[0] || (major === OLDEST_PYTHON[0] && minor >= OLDEST_PYTHON[1]);
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const env = { ...process.env, OMP_NUM_THREADS: '1', PYTHONHASHSEED: '0', PYTHONPATH: HERE };
  // CatBoost writes logs into the working folder.
  const child = spawn(command, args, { cwd: CACHE, env, stdio: ['ignore', 'inherit', 'inherit'] });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`${[command, ...args].join(' ')} ended with ${code}`);
}
