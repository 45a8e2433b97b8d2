/** Serves the two files of the form on a separate origin, because a frontend's pages are not on the API's origin. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

const FILES: Readonly<Record<string, { readonly name: string; readonly type: string }>> = {
  '/': { name: 'form.html', type: 'text/html' },
  '/form.js': { name: 'form.js', type: 'text/javascript' },
};

export async function serveForm(): Promise<{ readonly origin: string; readonly stop: () => Promise<void> }> {
  const server = createServer(async ({ url = '' }, response) => {
    const file = FILES[new URL(url, 'http://localhost').pathname];
    if (!file) return response.writeHead(404).end();
    response.setHeader('content-type', `${file.type}; charset=utf-8`);
    response.end(await readFile(path.join('test/form', file.name)));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
