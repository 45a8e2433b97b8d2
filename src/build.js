/**
 * Builds `dist/`: swc compiles every TypeScript file of `src/`, and esbuild bundles the explorer for the browser.
 *
 * `--if-stale` builds only if a source is newer than the last build, so that the next start is fast.
 * `--faults`   keeps the fault points (see `fault-points.ts`) for tests; without it they are removed.
 * `--watch`    builds and runs the server, and repeats both after every change.
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
/** Web workers of the editor, by the names under which the browser requests them. */
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

/** Bundling is slow, so it is repeated only if the explorer's sources or the installed packages have changed. */
async function bundleExplorer() {
  const outdir = path.join(dist, 'api/explorer/assets');
  const outputs = ['graphiql', ...Object.keys(EDITOR_WORKERS)].map((name) => path.join(outdir, `${name}.js`));
  const inputs = [path.join(explorerSource, 'graphiql.jsx'), path.join(root, 'package-lock.json')];
  // Checks every output, because an earlier bundle may have failed half-way.
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
  const typescript = (await sources()).filter((file) => file.endsWith('.ts') && (hasFaultPoints || !isFaultFile(file)));
  await Promise.all([...typescript.map(compile), bundleExplorer()]);
  await writeFile(stamp, '');
}

function isFaultFile(file) {
  return path.basename(file, path.extname(file)) === 'fault-points';
}

/** Deletes output whose source is gone, so that a stale import fails instead of using the old file. */
async function removeLeftovers() {
  for await (const file of glob('**/*.js', { cwd: dist, exclude: ['api/explorer/assets/**'] })) {
    const source = path.join(root, 'src', file.replace(/\.js$/, '.ts'));
    if (!existsSync(source) || (isFaultFile(file) && !hasFaultPoints)) await rm(path.join(dist, file));
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
