/**
 * Builds `dist/`: every TypeScript file of `src/` by swc, and the explorer's browser bundle by esbuild.
 *
 * `--if-stale` builds only when a source is newer than the last build, so that a second start is quick.
 * `--faults` keeps the fault points (see `fault-points.ts`) for the tests that shoot at a server; without it they are
 * compiled out.
 * `--watch` builds, runs the server, and does both again on every change.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync, watch } from 'node:fs';
import { glob, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { transform } from '@swc/core';
import { build as bundle } from 'esbuild';

const root = path.resolve(import.meta.dirname, '..');
const dist = path.join(root, 'dist');
const hasFaultPoints = process.argv.includes('--faults');
const stamp = path.join(dist, hasFaultPoints ? '.built-with-faults' : '.built');
/** The editor's language services, by the names that the browser asks for. */
const EDITOR_WORKERS = {
  'editor.worker': 'monaco-editor/esm/vs/editor/editor.worker.js',
  'json.worker': 'monaco-editor/esm/vs/language/json/json.worker.js',
  'graphql.worker': 'monaco-graphql/esm/graphql.worker.js',
};
const explorerSource = path.join(root, 'src/api/explorer/browser');

async function sources() {
  const found = [];
  for await (const file of glob('src/**/*', { cwd: root })) found.push(path.join(root, file));
  return found;
}

async function isStale() {
  if (!existsSync(stamp)) return true;
  const builtAt = statSync(stamp).mtimeMs;
  const inputs = [...(await sources()), path.join(root, 'package-lock.json'), path.join(root, '.swcrc')];
  return inputs.some((file) => statSync(file).mtimeMs > builtAt);
}

async function compile(file) {
  const target = path.join(dist, path.relative(path.join(root, 'src'), file)).replace(/\.ts$/, '.js');
  const source = await readFile(file, 'utf8');
  const compiled = hasFaultPoints ? source : source.replaceAll(/^.*\/\/ @fault$/gm, '');
  const { code, map } = await transform(compiled, { cwd: root, filename: file, sourceMaps: true });
  await mkdir(path.dirname(target), { recursive: true });
  await writeFile(target, `${code}\n//# sourceMappingURL=${path.basename(target)}.map\n`);
  await writeFile(`${target}.map`, map);
}

/** The slow part: repeated only when its sources or the packages have changed. */
async function bundleExplorer() {
  const outdir = path.join(dist, 'api/explorer/assets');
  const outputs = ['graphiql', ...Object.keys(EDITOR_WORKERS)].map((name) => path.join(outdir, `${name}.js`));
  const inputs = [path.join(explorerSource, 'graphiql.jsx'), path.join(root, 'package-lock.json')];
  // All of them: a bundle that failed half-way is made again.
  if (outputs.every(existsSync)) {
    const oldest = Math.min(...outputs.map((file) => statSync(file).mtimeMs));
    if (inputs.every((file) => statSync(file).mtimeMs < oldest)) return;
  }
  const options = {
    absWorkingDir: root,
    outdir,
    bundle: true,
    minify: true,
    logLevel: 'error',
    loader: { '.ttf': 'dataurl' },
  };
  await Promise.all([
    bundle({
      ...options,
      entryPoints: inputs.slice(0, 1),
      format: 'esm',
      jsx: 'automatic',
      define: { 'process.env.NODE_ENV': '"production"' },
    }),
    bundle({ ...options, entryPoints: EDITOR_WORKERS, format: 'iife', entryNames: '[name]' }),
  ]);
}

async function build() {
  await removeLeftovers();
  await Promise.all(['.built', '.built-with-faults'].map((file) => rm(path.join(dist, file), { force: true })));
  const typescript = (await sources()).filter((file) => file.endsWith('.ts') && (hasFaultPoints || !isForFaults(file)));
  await Promise.all([...typescript.map(compile), bundleExplorer()]);
  await writeFile(stamp, '');
}

function isForFaults(file) {
  return path.basename(file, path.extname(file)) === 'fault-points';
}

/** Output whose source is gone would still be imported by whoever forgot to change. */
async function removeLeftovers() {
  for await (const file of glob('**/*.js', { cwd: dist, exclude: ['api/explorer/assets/**'] })) {
    const source = path.join(root, 'src', file.replace(/\.js$/, '.ts'));
    if (!existsSync(source) || (isForFaults(file) && !hasFaultPoints)) await rm(path.join(dist, file));
  }
}

async function watchAndRun() {
  let server;
  const restart = async () => {
    if (server?.exitCode === null && server.kill('SIGTERM')) await once(server, 'exit');
    await build().then(
      () => {
        server = spawn(process.execPath, [path.join(dist, 'main.js')], { stdio: 'inherit' });
      },
      (error) => console.error(error),
    );
  };
  let timer;
  watch(path.join(root, 'src'), { recursive: true }, () => {
    clearTimeout(timer);
    timer = setTimeout(restart, 100);
  });
  await restart();
}

if (process.argv.includes('--watch')) await watchAndRun();
else if (!process.argv.includes('--if-stale') || (await isStale())) await build();
