/** `npm run test:gpu` names what a machine has and what it lacks. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { requirements } from './requirements.js';

test('libraries on the library path are named with their place, and incomplete ones are missing', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-cuda-'));
  for (const file of ['libcudart.so.98', 'libcublas.so.98', 'libcudnn.so.8'])
    await writeFile(path.join(folder, file), '');

  const found = requirements(`/no/such/folder:${folder}`);
  await rm(folder, { recursive: true });

  expect(found).toContain(`CUDA runtime: ${path.join(folder, 'libcudart.so.98')}`);
  expect(found.find((line) => line.startsWith('cuBLAS: '))).not.toContain(folder);
  expect(found.find((line) => line.startsWith('cuDNN 9: '))).not.toContain(folder);
  expect(found).toHaveLength(9);
});
