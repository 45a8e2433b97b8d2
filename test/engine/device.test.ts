/** The name of the device that models run on. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { deviceOf } from '#src/engine/device.js';
import { startTestApp } from '../support/app.js';

const PREDICT = `mutation { predict(input: { model: "penguins", record: false, input: { row: {} } }) {
  prediction { runtime { executionProvider device } } problem { code } } }`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-gpus-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** As NVIDIA's driver writes it. */
async function addGpu(address: string, model: string): Promise<void> {
  await mkdir(path.join(folder, address));
  const text = `Model: \t\t ${model}\nIRQ:   \t\t 54\nGPU UUID: \t GPU-0\nVideo BIOS: \t 96.00.30.00.01\nBus Type: \t PCIe\n`;
  await writeFile(path.join(folder, address, 'information'), text);
}

test('the device of the CPU provider is the processor', async () => {
  expect(await deviceOf('cpu')).toBe(os.cpus()[0]?.model.trim());
});

test('the device of the CUDA provider is the GPU, and unknown without a GPU or with GPUs of several models', async () => {
  const found = [await deviceOf('cuda', folder)];
  await addGpu('0000:01:00.0', 'NVIDIA H100 80GB HBM3');
  found.push(await deviceOf('cuda', folder));
  await addGpu('0000:02:00.0', 'NVIDIA H100 80GB HBM3');
  found.push(await deviceOf('cuda', folder));
  await addGpu('0000:03:00.0', 'NVIDIA L4');
  found.push(await deviceOf('cuda', folder));

  expect(found).toEqual([null, 'NVIDIA H100 80GB HBM3', 'NVIDIA H100 80GB HBM3', null]);
  expect(await deviceOf('cuda', path.join(folder, 'missing'))).toBeNull();
});

test('the device of other providers is unknown', async () => {
  expect(await deviceOf('webgpu')).toBeNull();
});

test('workers and predictions name the device', async () => {
  const app = await startTestApp();
  const { predict } = await app.query(PREDICT);
  const { engine } = await app.query('{ engine { workers { executionProvider device } } }');
  await app.stop();

  const device = os.cpus()[0]?.model.trim();
  expect(predict).toEqual({ prediction: { runtime: { executionProvider: 'cpu', device } }, problem: null });
  expect(engine.workers[0]).toEqual({ executionProvider: 'cpu', device });
});
