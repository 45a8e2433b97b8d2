/** How many inputs a message to a worker may hold. */
import { VersionLatency } from '#src/engine/latency.js';
import type { EngineVersion } from '#src/engine/messages.js';
import { limitsOfNextBatch } from '#src/engine/schedule.js';
import { simulatedVersion } from '../support/simulation.js';

function limitsOf(version: EngineVersion, inferMs: number | null, maxMs = 200) {
  const latency = new VersionLatency();
  const [estimated, common] = [
    { work: 8, preprocessingWork: 0 },
    { runWork: 8, preprocessMs: 0, postprocessMs: 0, wasLoaded: true, isMeasurement: false },
  ];
  if (inferMs !== null)
    for (let i = 0; i < 3; i++) latency.record({ estimated, ...common, inferMs, occupiedMs: inferMs }, i);
  return limitsOfNextBatch({ version, latency, running: 0, blockedSince: null, overload: null }, maxMs);
}

const ALONE = simulatedVersion('v', 1);

test('inputs of a graph that does not batch share a message if they are expected to run for 2 ms', () => {
  expect(limitsOf(ALONE, 0.25)).toMatchObject({ rows: 64, work: 64 });
  expect(limitsOf(ALONE, 1)).toMatchObject({ rows: 64, work: 16 });
});

test('they do not if they take longer, if less time is left, or if nothing is known', () => {
  expect(limitsOf(ALONE, 5).work).toBe(0);
  expect(limitsOf(ALONE, 1, 0.5).work).toBe(0);
  expect(limitsOf(ALONE, null).rows).toBe(1);
});

test('those of a graph that batches, or that does not read numbers, are as many as fit into a run', () => {
  const { spec } = ALONE;
  const strings = { ...spec, inputs: [{ name: 'x', datatype: 'BYTES', shape: [null] }] };

  expect(limitsOf(simulatedVersion('v', 32), 0.25).rows).toBe(32);
  expect(limitsOf({ ...ALONE, spec: strings }, 0.25).rows).toBe(1);
});
