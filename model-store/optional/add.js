/**
 * Adds a model that is too large for git to the model store: `npm run models:add -- <name>`, without a name the list.
 *
 * Each folder beside this file is such a model: `convert.py` writes its files into the empty folder it is given, after
 * `requirements.txt` was installed into an environment that is thrown away. The model appears in the store whole or not
 * at all: it is made in a hidden folder of the store and renamed at the end. A running server imports it.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const optional = path.dirname(fileURLToPath(import.meta.url));
const store = path.dirname(optional);
const python = process.env.PYTHON || 'python3';
const OLDEST_PYTHON = [3, 11];
const PARTIAL = '.adding-';

class AddError extends Error {}

/** Whatever must not outlive this process. */
const temporary = new Set();
let child = null;
/** A group of its own: venv and pip start programs that have to end with them. */
const hasGroups = process.platform !== 'win32';
let isStopped = false;

function names() {
  return readdirSync(optional).filter((name) => existsSync(path.join(optional, name, 'convert.py')));
}

/** A line of a file of the recipe, without the words before it. */
function lineOf(name, file, pattern) {
  return pattern.exec(readFileSync(path.join(optional, name, file), 'utf8'))?.[1] ?? '';
}

function list() {
  const rows = names().map((name) => [
    name,
    lineOf(name, 'README.md', /^pipeline_tag: (.+)$/m),
    lineOf(name, 'README.md', /^license: (.+)$/m),
    lineOf(name, 'requirements.txt', /^# Download: (.+)\.$/m),
    lineOf(name, 'README.md', /^# (.+)$/m) + (existsSync(path.join(store, name)) ? ' (added)' : ''),
  ]);
  const table = [['name', 'task', 'license', 'download', 'title'], ...rows];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  const lines = table.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column])).join('  ').trimEnd()}`);
  return ['Models that can be added with npm run models:add -- <name>:', ...lines].join('\n');
}

/** Runs a program to its end and returns what it printed; with `isShown`, the printing goes to the terminal. */
async function run(command, args, isShown = false) {
  const output = [];
  const ended = await new Promise((resolve) => {
    const stream = isShown ? 'inherit' : 'pipe';
    child = spawn(command, args, { stdio: ['ignore', stream, stream], detached: hasGroups });
    child.stdout?.on('data', (chunk) => output.push(chunk));
    child.stderr?.on('data', (chunk) => output.push(chunk));
    child.once('error', (error) => resolve({ error }));
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  child = null;
  if (isStopped) throw new AddError('Stopped: nothing was added.');
  return { ...ended, text: Buffer.concat(output).toString().trim() };
}

async function runOrFail(what, command, args, isShown) {
  const { error, code, signal, text } = await run(command, args, isShown);
  if (code === 0) return;
  const reason = error?.message ?? (signal ? `ended by ${signal}` : `exit code ${code}`);
  throw new AddError([`${what} failed: ${reason}`, text].filter(Boolean).join('\n'));
}

async function checkPython() {
  const wanted = OLDEST_PYTHON.join('.');
  const version = 'import sys; print(*sys.version_info[:2], sep=".")';
  const { error, code, text } = await run(python, ['-c', version]);
  if (error?.code === 'ENOENT')
    throw new AddError(`${python} was not found. Install Python ${wanted} or later, or set PYTHON to its path.`);
  if (error || code !== 0) throw new AddError(`${python} does not run: ${error?.message ?? text}`);
  const [major, minor] = text.split('.').map(Number);
  if (major > OLDEST_PYTHON[0] || (major === OLDEST_PYTHON[0] && minor >= OLDEST_PYTHON[1])) return;
  throw new AddError(`${python} is Python ${text}, and ${wanted} or later is needed. Set PYTHON to the path of one.`);
}

/** What an earlier run left behind when it was killed; its process number is in the name. */
function removeLeftovers() {
  for (const name of readdirSync(store).filter((entry) => entry.startsWith(PARTIAL))) {
    if (!isAlive(Number(name.split('-').at(-1)))) rmSync(path.join(store, name), { recursive: true, force: true });
  }
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

async function environment(requirements) {
  const folder = mkdtempSync(path.join(tmpdir(), 'modelgraph-add-'));
  temporary.add(folder);
  const making = 'Making a Python environment (on Debian and Ubuntu it needs the package python3-venv)';
  await runOrFail(making, python, ['-m', 'venv', folder]);
  const interpreter = path.join(folder, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  // The versions are pinned and known to work, also where a package names older versions of Python only.
  const trusted = ['--no-deps', '--only-binary=:all:', '--ignore-requires-python'];
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...trusted];
  await runOrFail('Installing the requirements', interpreter, [...pip, '-r', requirements]);
  return interpreter;
}

async function add(name) {
  const recipe = path.join(optional, name);
  const target = path.join(store, name);
  if (existsSync(target))
    return `${name} is in the model store already. To make it again, remove ${shown(target)} first.`;
  await checkPython();
  removeLeftovers();
  console.log(`Installing what ${name} is converted with…`);
  const interpreter = await environment(path.join(recipe, 'requirements.txt'));
  const partial = path.join(store, `${PARTIAL}${name}-${process.pid}`);
  temporary.add(partial);
  mkdirSync(partial);
  console.log('Converting…');
  await runOrFail('Converting', interpreter, ['-B', path.join(recipe, 'convert.py'), partial], true);
  if (!existsSync(target)) renameSync(partial, target);
  return `${name} is in ${shown(target)}. A running server imports it; otherwise it is imported at the next start.`;
}

function shown(folder) {
  return path.relative(process.cwd(), folder) || '.';
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    isStopped = true;
    if (child?.pid) process.kill(hasGroups ? -child.pid : child.pid, signal);
  });
}

try {
  const [name, ...rest] = process.argv.slice(2);
  if (name === undefined) console.log(list());
  else if (rest.length > 0 || !names().includes(name))
    throw new AddError(`There is no model "${[name, ...rest].join(' ')}" to add.\n${list()}`);
  else console.log(await add(name));
} catch (error) {
  if (!(error instanceof AddError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
} finally {
  for (const folder of temporary) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
