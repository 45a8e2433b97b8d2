/**
 * The path of WebGPU with a Vulkan driver that runs on the CPU: Chromium's SwiftShader. Without Chromium the test is
 * skipped on a developer's machine, and fails with CI=true.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Data, STORE, startTestApp } from '../support/app.js';
import { createStore } from '../support/model-store.js';
import { encodeModel } from '../support/onnx.js';
import { answersOf, goldenInputs, largestDifference, providerOf } from './answers.js';

const FOLDER = process.env['SWIFTSHADER_PATH'] ?? '/usr/lib/chromium';
const DRIVER = path.join(FOLDER, 'vk_swiftshader_icd.json');
const canRun = process.platform === 'linux' && (existsSync(DRIVER) || process.env['CI'] === 'true');

beforeAll(() => {
  Object.assign(process.env, { LD_LIBRARY_PATH: FOLDER, VK_DRIVER_FILES: DRIVER });
});

const TOLERANCE = 1e-5;

/** Softmax(x · w). The code that the driver compiles for it is larger than 64 KiB, which it keeps in a file. */
const GRAPH = encodeModel({
  inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
  outputs: [{ name: 'y', type: 'FP32', shape: ['N', 2] }],
  nodes: [
    { op: 'MatMul', inputs: ['x', 'w'], outputs: ['logits'] },
    { op: 'Softmax', inputs: ['logits'], outputs: ['y'] },
  ],
  floats: [{ name: 'w', shape: [2, 2], data: [1, 2, 3, 3] }],
});

(canRun ? test : test.skip)('a model is imported and answers on WebGPU', async () => {
  const store = await createStore();
  await store.write('product', { '1/model.onnx': GRAPH, 'model.yaml': 'preload: true\n' });
  const app = await startTestApp({
    isAlone: true,
    modelStore: store.folder,
    executionProviders: ['webgpu', 'cpu'],
    requireProvider: 'webgpu',
  });

  const input = { tensors: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [5, 6] }] };
  const { predict } = await app.query(
    `mutation ($input: PredictInput!) { predict(input: $input) {
      prediction { output { ... on Tensors { tensors { data } } } runtime { executionProvider } }
      problem { message }
    } }`,
    { input: { model: 'product', input } },
  );
  const { engine } = await app.query('{ engine { providers { name available reason } } }');
  await app.stop();
  await store.remove();

  expect(engine.providers[0]).toEqual({ name: 'webgpu', available: true, reason: null });
  expect(predict).toEqual({
    prediction: {
      output: {
        tensors: [{ data: [expect.closeTo(1 / (1 + Math.E ** 5), 6), expect.closeTo(1 / (1 + Math.E ** -5), 6)] }],
      },
      runtime: { executionProvider: 'webgpu' },
    },
    problem: null,
  });
});

/** Its convolutions of whole photos would take minutes on a CPU that pretends to be a GPU. */
const TOO_SLOW = 'face-detector';

(canRun ? test : test.skip)('the shipped models answer on WebGPU as on the CPU', async () => {
  const inputs = goldenInputs(STORE)
    .filter(({ model }) => model !== TOO_SLOW)
    .map(({ model, inputs }) => ({ model, inputs: inputs.slice(0, 2) }));
  const [cpu, gpu] = await Promise.all([
    startTestApp({ isAlone: true }),
    startTestApp({ isAlone: true, executionProviders: ['webgpu'], requireProvider: 'webgpu' }),
  ]);

  const expected = await answersOf(cpu, inputs);
  const found = await answersOf(gpu, inputs);
  const { models } = await gpu.query(
    '{ models(first: 50) { nodes { name versions(first: 1) { nodes { serving { executionProvider } } } } } }',
  );
  await Promise.all([cpu.stop(), gpu.stop()]);

  const visible = Object.fromEntries(
    models.nodes
      .filter(({ name }: Data) => name !== TOO_SLOW)
      .map(({ name, versions }: Data) => [name, versions.nodes[0].serving.executionProvider]),
  );
  const differences = Object.values(largestDifference(found, expected));
  expect(differences).toHaveLength(inputs.length);
  expect(differences.map(({ problem, executionProvider }) => problem ?? executionProvider)).toEqual(
    inputs.map(({ model }) => providerOf(model, 'webgpu')),
  );
  expect(visible).toEqual(Object.fromEntries(inputs.map(({ model }) => [model, providerOf(model, 'webgpu')])));
  expect(Math.max(...differences.map(({ difference }) => difference))).toBeLessThanOrEqual(TOLERANCE);
});
