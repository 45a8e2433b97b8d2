/**
 * Builds `dist/`: swc compiles every TypeScript file of `src/`, and esbuild bundles the explorer for the browser.
 *
 * `--if-stale` builds only if a source is newer than the last build, so that the next start is fast. It then needs none of the
 *              packages for development.
 * `--faults`   keeps the fault points (see `fault-points.ts`) for tests; without it they are removed.
 * `--watch`    builds and runs the server, and repeats both after every change.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync, watch } from 'node:fs';
import { glob, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const dist = path.join(root, 'dist');
const hasFaultPoints = process.argv.includes('--faults');
const stamp = path.join(dist, hasFaultPoints ? '.built-with-faults' : '.built');
const explorerSource = path.join(root, 'src/api/explorer/browser');
/** Scripts of the pages, and their style sheets. */
const PAGES = ['graphiql.jsx', 'sandbox.js', 'sandbox.css'].map((file) => path.join(explorerSource, file));
/** Web workers of the editor, by the names under which the browser requests them. */
const EDITOR_WORKERS = {
  'editor.worker': 'monaco-editor/esm/vs/editor/editor.worker.js',
  'json.worker': 'monaco-editor/esm/vs/language/json/json.worker.js',
  'graphql.worker': path.join(explorerSource, 'graphql.worker.js'),
};

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

async function compile(file, transform) {
  const target = path.join(dist, path.relative(path.join(root, 'src'), file)).replace(/\.ts$/, '.js');
  const source = await readFile(file, 'utf8');
  const compiled = hasFaultPoints ? source : source.replaceAll(/^.*\/\/ @fault$/gm, '');
  const { code, map } = await transform(compiled, { cwd: root, filename: file, sourceMaps: true });
  await mkdir(path.dirname(target), { recursive: true });
  await writeFile(target, `${code}\n//# sourceMappingURL=${path.basename(target)}.map\n`);
  await writeFile(`${target}.map`, map);
}

/**
 * What is changed in GraphiQL for everybody to read it: each tab is an item of a tab list with two buttons inside, which screen
 * readers do not find there, but a list of buttons is read right; and comments in the dark theme have too little contrast.
 */
const CHANGES = {
  'components/tabs/index.js': {
    '"aria-selected": isActive': '"aria-current": isActive',
    '"tab",': '"listitem",',
    '"tablist"': '"list"',
  },
  'constants.js': { 'foreground: "#908aff"': 'foreground: "#908aff" }, { token: "comment", foreground: "#83b56c"' },
};
const readable = {
  name: 'readable',
  setup({ onLoad }) {
    onLoad({ filter: /@graphiql.react.dist.(components.tabs.index|constants)\.js$/ }, async ({ path: file }) => {
      let contents = await readFile(file, 'utf8');
      const [, changes] = Object.entries(CHANGES).find(([name]) =>
        file.split(path.sep).join('/').endsWith(`dist/${name}`),
      );
      for (const [from, to] of Object.entries(changes)) {
        if (contents.split(from).length !== 2) throw new Error(`${file} has changed: ${from} is not there once.`);
        contents = contents.replace(from, to);
      }
      return { contents };
    });
  },
};

/** Bundling is slow, so it is repeated only if the explorer's sources or the installed packages have changed. */
async function bundleExplorer(bundle) {
  const outdir = path.join(dist, 'api/explorer/assets');
  const names = [...PAGES.map((file) => path.basename(file).replace('.jsx', '.js')), 'graphiql.css'];
  const workers = Object.keys(EDITOR_WORKERS).map((name) => `${name}.js`);
  const outputs = [...names, ...workers].map((name) => path.join(outdir, name));
  const own = (await sources()).filter((file) => file.startsWith(`${explorerSource}${path.sep}`));
  const inputs = [...own, path.join(root, 'package-lock.json')];
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
      entryPoints: PAGES,
      format: 'esm',
      jsx: 'automatic',
      plugins: [readable],
      define: { 'process.env.NODE_ENV': '"production"' },
    }),
    bundle({ ...options, entryPoints: EDITOR_WORKERS, format: 'iife', entryNames: '[name]' }),
  ]);
}

async function build() {
  const startedAt = performance.now();
  process.stderr.write('building the service and the explorer …\n');
  // Not needed, and perhaps not installed, where there is nothing to build.
  const [{ transform }, { build: bundle }] = await Promise.all([import('@swc/core'), import('esbuild')]);
  await removeLeftovers();
  await Promise.all(['.built', '.built-with-faults'].map((file) => rm(path.join(dist, file), { force: true })));
  const typescript = (await sources()).filter((file) => file.endsWith('.ts') && (hasFaultPoints || !isFaultFile(file)));
  await Promise.all([...typescript.map((file) => compile(file, transform)), bundleExplorer(bundle)]);
  await writeFile(stamp, '');
  process.stderr.write(`built in ${((performance.now() - startedAt) / 1_000).toFixed(1)} s\n`);
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
