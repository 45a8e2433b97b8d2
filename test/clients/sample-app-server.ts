/**
 * Serves the sample app on an origin of its own. It is bundled from its sources with the packages of the tests, so that
 * those of `schema/example-app/package.json` need not be installed; `npm run test:sample` installs them.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { build, type Plugin } from 'esbuild';
import { generatedTypes } from './generated-types.ts';

export const APP = 'schema/example-app';
export const DOCUMENTS = [`${APP}/src/operations.graphql`, 'schema/fragments.graphql'];

interface Site {
  readonly origin: string;
  readonly stop: () => Promise<unknown>;
}

export async function serveSampleApp(api: string): Promise<Site> {
  const [types, page] = await Promise.all([generatedTypes(DOCUMENTS), readFile(`${APP}/index.html`, 'utf8')]);
  const files = { './gql/graphql': types['graphql.ts'] ?? '' };
  return serve(page.replace('/src/main.tsx', '/main.js'), await bundle(`${APP}/src/main.tsx`, files, api));
}

/** A page that shows the component `./App`; the files are those that it imports. */
export async function serveComponent(files: Record<string, string>): Promise<Site> {
  const main = `import { createRoot } from 'react-dom/client';
    import App from './App';
    createRoot(document.body.appendChild(document.createElement('div'))).render(<App />);`;
  const page = '<!doctype html><title>Page</title><body><script type="module" src="/main.js"></script>';
  return serve(page, await bundle('./main', { './main': main, ...files }, ''));
}

async function serve(page: string, { script, style }: { script: string; style: string }): Promise<Site> {
  const files: Record<string, [type: string, text: string]> = {
    '/': ['text/html', page.replace('</head>', '<link rel="stylesheet" href="/main.css"></head>')],
    '/main.js': ['text/javascript', script],
    '/main.css': ['text/css', style],
  };
  const server = createServer((request, response) => {
    const found = files[new URL(request.url ?? '', 'http://localhost').pathname];
    if (!found) return response.writeHead(404).end();
    response.setHeader('content-type', `${found[0]}; charset=utf-8`).end(found[1]);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    origin: `http://localhost:${(server.address() as AddressInfo).port}`,
    stop: () => new Promise((resolve) => server.close(resolve).closeAllConnections()),
  };
}

/** `files`: those that are on no disk, by the path that imports them. */
async function bundle(entry: string, files: Record<string, string>, api: string) {
  const { outputFiles } = await build({
    entryPoints: [{ in: entry, out: 'main' }],
    bundle: true,
    write: false,
    outdir: '/',
    format: 'esm',
    jsx: 'automatic',
    define: {
      'import.meta.env': JSON.stringify({ VITE_MODELGRAPH_URL: api }),
      'process.env.NODE_ENV': '"production"',
    },
    plugins: [inMemory(files)],
  });
  const [script = '', style = ''] = ['.js', '.css'].map(
    (end) => outputFiles.find((file) => file.path.endsWith(end))?.text,
  );
  return { script, style };
}

function inMemory(files: Record<string, string>): Plugin {
  return {
    name: 'in-memory',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\./ }, ({ path: name }) =>
        files[name] === undefined ? undefined : { path: name, namespace: 'memory' },
      );
      onLoad({ filter: /.*/, namespace: 'memory' }, ({ path: name }) => ({
        contents: files[name] ?? '',
        loader: 'tsx',
        resolveDir: process.cwd(),
      }));
    },
  };
}
