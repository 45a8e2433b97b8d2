/** Worker processes that break the protocol: only the inputs they were lying about fail, and the server lives. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { pino } from 'pino';
import { Engine } from '#src/engine/engine.js';
import type { Data } from '../support/app.js';
import { haveEnded } from '../support/processes.js';
import { itemOf, settled, simulatedConnection, simulatedVersion } from '../support/simulation.js';

/** A worker that computes y = 2x + 1, except for 13, at which it does `vice`. Whatever follows must not be believed. */
const workerWith = (vice: string, atLoad = '') => `
  import { Socket } from 'node:net';
  import { CHANNEL_FD, encodeFrame, FrameChannel } from '${pathToFileURL(path.resolve('dist/engine/frames.js')).href}';
  const stream = new Socket({ fd: CHANNEL_FD, readable: true, writable: true });
  const timing = { preprocessMs: 1, inferMs: 1, postprocessMs: 1 };
  const done = (id, y, more) => channel.send({ kind: 'done', id, timing, use: null, results: [
    { answer: { kind: 'tensors', tensors: [{ name: 'y', datatype: 'FP32', shape: [1], data: Float32Array.of(y) }] } }], ...more });
  const answer = ({ kind, id, key, items }) => {
    if (kind === 'load') { ${atLoad} }
    if (kind === 'load') channel.send({ kind: 'loaded', id, key, residentBytes: null, loadMs: 1, warmUpMs: 1, warmUpCpuMs: 1, executionProvider: 'cpu' });
    if (kind !== 'batch') return;
    const [x] = items[0].tensors[0].data;
    if (x === 13) { ${vice} }
    done(id, 2 * x + 1);
  };
  const channel = new FrameChannel(stream, { onMessage: answer, onProtocolError: () => {} });
  stream.on('close', () => process.exit());
  channel.send({ kind: 'ready' });`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-faulty-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function startEngine(vice: string, atLoad = '') {
  const workerFile = path.join(folder, 'worker.mjs');
  await writeFile(workerFile, workerWith(vice, atLoad));
  const lines: Data[] = [];
  const log = pino({ level: 'warn' }, { write: (line) => lines.push(JSON.parse(line)) });
  const emptyFolder = path.join(folder, 'empty');
  const engine = new Engine({ workers: 1, workerFile, memoryBytes: 1e9, emptyFolder, providers: ['cpu'], log });
  await engine.start();
  return { engine, lines };
}

test.each([
  ['a second "ready"', "channel.send({ kind: 'ready' });", /it sent "ready" a second time/],
  ['a batch that it was never given', 'done(id + 1000, 27);', /"done" with the number 1\d{3}, which answers nothing/],
  ['the number of an earlier command', 'done(id - 1, 27);', /"done" with the number \d+, which answers nothing/],
  ['another reply to the batch', "channel.send({ kind: 'unloaded', id, key: 'v' });", /this is no reply to that/],
  ['a frame that is too long', "stream.write(Buffer.from('ffffffff00000000', 'hex'));", /claims 4294967295 bytes/],
  [
    'a time that is not a number',
    'done(id, 27, { timing: { ...timing, inferMs: NaN } });',
    /a field is missing or is not valid/,
  ],
  [
    'a time that is longer than what has passed',
    'done(id, 27, { timing: { ...timing, inferMs: 1e300 } });',
    /a time is longer than what has passed/,
  ],
  [
    'half a frame, and dies',
    "stream.end(encodeFrame('half').subarray(0, 9), () => process.exit(7)); return;",
    /code 7/,
  ],
])('a worker that sends %s ends, and only that input fails', async (_, vice, reason) => {
  const { engine, lines } = await startEngine(vice);
  const run = (value: number) => {
    const options = { deadlineMs: 100_000, priority: 'NORMAL', connection: simulatedConnection('a') } as const;
    return settled(engine.run(simulatedVersion('v', 1), itemOf(value), options));
  };

  const answers = await Promise.all([1, 13, 2, 3].map(run));
  const after = await run(4);
  const pids = engine.workers.map(({ pid }) => pid);
  await engine.stop(0);

  expect(answers).toEqual([3, expect.stringMatching(/^INFERENCE_FAILED /), 5, 7]);
  expect(after).toBe(9);
  expect(lines.filter(({ how }) => reason.test(how)).length).toBeGreaterThan(0);
  await haveEnded(pids);
});

test('a version at whose loads every process ends is refused for a while after three of them', async () => {
  const garbage = "if (key === 'bad') { stream.end(Buffer.from('ffffffff00000000', 'hex')); return; }";
  const { engine, lines } = await startEngine('', garbage);
  const run = (key: string) => {
    const options = { deadlineMs: 100_000, priority: 'NORMAL', connection: simulatedConnection('a') } as const;
    return settled(engine.run(simulatedVersion(key, 1), itemOf(1), options));
  };

  const answer = await run('bad');
  const loaded = await engine.load(simulatedVersion('bad', 1)).catch(({ message }) => message);
  const other = await run('good');
  await engine.stop(0);

  const tried = 'INFERENCE_FAILED The model failed on this input: 3 processes ended while they loaded the version';
  expect(answer).toMatch(new RegExp(`^${tried}, which is tried again in 10 s`));
  expect(`INFERENCE_FAILED ${loaded}`).toMatch(new RegExp(`^${tried}`));
  expect(other).toBe(3);
  expect(lines.filter(({ how }) => /claims 4294967295 bytes/.test(how))).toHaveLength(3);
});
