/** In which thread of a worker the session of a version is. */
import { loadMessage } from '#src/engine/messages.js';
import type { VersionSpec } from '#src/tasks/tasks.js';
import { WorkerBody } from '#src/worker/body.js';
import type { WorkerRuntime } from '#src/worker/load.js';
import { simulatedVersion } from '../support/simulation.js';

/** Whether each session that the load opens is in the main thread. */
async function placesOf(changes: Partial<VersionSpec>, provider: string): Promise<boolean[]> {
  const places: boolean[] = [];
  const openSession: WorkerRuntime['openSession'] = async (_bytes, _provider, _folder, inMainThread) => {
    places.push(inMainThread);
    return { inputs: [], outputs: [], run: async () => [], release: async () => {} };
  };
  const runtime = {
    tools: {},
    readArtifact: async () => new Uint8Array(),
    openTokenizer: async () => ({}),
    openSession,
    cpuMs: () => 0,
    dataBytes: async () => null,
  } as unknown as WorkerRuntime;
  const version = simulatedVersion();
  const load = loadMessage(version, provider);
  await new WorkerBody(runtime, () => {}).receive({
    ...load,
    spec: { ...version.spec, ...changes } as VersionSpec,
    id: 1,
  });
  return places;
}

test('the session of a version that reads numbers is in the main thread', async () => {
  expect(await placesOf({}, 'cpu')).toEqual([true]);
});

test.each<readonly [string, object]>([
  ['texts', { text: { tokenizerSha256: '' } }],
  ['images', { image: { layout: 'NCHW' } }],
  ['files', { bytes: { begin: 1, end: 0, padding: 0, stripWithin: null } }],
])(
  'the session of a version that reads %s has a thread of its own, so that the next batch is prepared meanwhile',
  async (_, changes) => {
    expect(await placesOf(changes as Partial<VersionSpec>, 'cpu')).toEqual([false]);
  },
);

test('on a GPU one thread has all sessions', async () => {
  expect(await placesOf({}, 'webgpu')).toEqual([false, false]);
});
