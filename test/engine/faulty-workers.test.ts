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
  const outputs = (y) => [{ shape: [1], data: Float32Array.of(y) }];
  const ran = (id, y, more) => channel.send({ kind: 'ran', id, timing, use: null, runs: [{ items: [0], outputs: outputs(y) }], ...more });
  const answer = ({ kind, id, key, inputs }) => {
    if (kind === 'load') { ${atLoad} }
    if (kind === 'load') channel.send({ kind: 'loaded', id, key, residentBytes: null, loadMs: 1, warmUpMs: 1, warmUpCpuMs: 1, executionProvider: 'cpu' });
    if (kind !== 'numericBatch') return;
    const values = Array.from(inputs[0]);
    if (values.includes(13)) { ${vice} }
    ran(id, 0, { runs: values.map((x, item) => ({ items: [item], outputs: outputs(2 * x + 1) })) });
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
  ['a batch that it was never given', 'ran(id + 1000, 27);', /"ran" with the number 1\d{3}, which answers nothing/],
  ['the number of an earlier command', 'ran(id - 1, 27);', /"ran" with the number \d+, which answers nothing/],
  ['another reply to the batch', "channel.send({ kind: 'unloaded', id, key: 'v' });", /this is no reply to that/],
  ['a frame that is too long', "stream.write(Buffer.from('ffffffff00000000', 'hex'));", /claims 4294967295 bytes/],
  [
    'a time that is not a number',
    'ran(id, 27, { timing: { ...timing, inferMs: NaN } });',
    /a field is missing or is not valid/,
  ],
  [
    'a time that is longer than what has passed',
    'ran(id, 27, { timing: { ...timing, inferMs: 1e300 } });',
    /a time is longer than what has passed/,
  ],
  ['a batch without runs', 'ran(id, 27, { runs: [] });', /an item is in no run/],
  [
    'an answer for an item of no batch',
    'ran(id, 27, { runs: [{ items: [values.length], outputs: outputs(27) }] });',
    /run 0 has an item that is not in the batch/,
  ],
  [
    'two answers for an item',
    'const one = { items: [0], outputs: outputs(27) }; ran(id, 27, { runs: [one, one] });',
    /run 1 has an item that is not in the batch, or is in another run/,
  ],
  [
    'more values than the shape says',
    'ran(id, 27, { runs: [{ items: [0], outputs: [{ shape: [1], data: Float32Array.of(27, 27) }] }] });',
    /run 0 is neither a failure nor has the outputs of the graph/,
  ],
  [
    'values of another datatype',
    'ran(id, 27, { runs: [{ items: [0], outputs: [{ shape: [1], data: Int32Array.of(27) }] }] });',
    /run 0 is neither a failure nor has the outputs of the graph/,
  ],
  [
    'an output too many',
    'ran(id, 27, { runs: [{ items: [0], outputs: [...outputs(27), ...outputs(27)] }] });',
    /run 0 is neither a failure nor has the outputs of the graph/,
  ],
  [
    'answers to items instead of outputs',
    "channel.send({ kind: 'done', id, timing, use: null, results: [] });",
    /this is no reply to that/,
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
