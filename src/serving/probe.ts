/**
 * The first load of anything new happens in a disposable process: what does the file say, does it run, does it answer
 * what its source framework answered, and may its inputs share a batch?
 */
import type { EngineVersion, FromWorker, GraphFacts, ToWorker } from '../engine/messages.js';
import { loadMessage, type Pool, ProcessLostError } from '../engine/pool.js';
import type { Item } from '../tasks/input.js';
import type { VersionSpec } from '../tasks/spec.js';
import { check } from '../tasks/task.js';
import { differenceFromGolden, type Golden } from './golden.js';
import { ManifestError, type ModelManifest } from './manifest.js';
import { specOf } from './spec-of.js';

type Ask = (message: ToWorker) => Promise<FromWorker>;

export interface ProbedVersion {
  readonly spec: VersionSpec;
  readonly facts: GraphFacts;
}

export interface Candidate {
  readonly manifest: ModelManifest;
  readonly golden: Golden | null;
  readonly artifactSha256: string;
  readonly artifactPath: string;
}

/** Something outside killed the probe, again and again: nothing is known of the version. */
export class ProbeKilledError extends ManifestError {}

const MAX_PROBES = 3;

/** @throws ManifestError with the reason why the version cannot be published; ProbeKilledError */
export async function probe(pool: Pool, candidate: Candidate): Promise<ProbedVersion> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await pool.inDisposableWorker((ask) => probeWith(ask, pool.provider, candidate));
    } catch (error) {
      if (error instanceof ManifestError) throw error;
      const isKilled = error instanceof ProcessLostError && error.cause === 'killed';
      const message = error instanceof Error ? error.message : String(error);
      if (!isKilled) throw new ManifestError(message);
      if (attempt === MAX_PROBES)
        throw new ProbeKilledError(`${message}, ${MAX_PROBES} times; it is tried again at the next start`);
    }
  }
}

async function probeWith(ask: Ask, provider: string, candidate: Candidate): Promise<ProbedVersion> {
  const { manifest, golden, artifactSha256, artifactPath } = candidate;
  const examined = await expectReply(ask({ kind: 'examine', artifactPath, artifactSha256 }), 'examined');
  const spec = specOf(manifest, examined.facts);
  const version: EngineVersion = { key: 'probed', ref: manifest.name, spec, artifactPath, artifactSha256 };
  await expectReply(ask(loadMessage(version, provider)), 'loaded');
  const items = itemsOf(spec, golden);
  if (golden) await compareWithGolden(ask, spec, golden, items);
  return { spec: { ...spec, ...(await batchability(ask, spec, items)) }, facts: examined.facts };
}

function itemsOf(spec: VersionSpec, golden: Golden | null): Item[] {
  if (!golden) return [check(spec, spec.example, ['example'])];
  return golden.cases.map(({ input }, i) => check(spec, input, ['golden.json', 'cases', String(i), 'input']));
}

async function compareWithGolden(ask: Ask, spec: VersionSpec, golden: Golden, items: readonly Item[]): Promise<void> {
  for (const [i, item] of items.entries()) {
    const { results } = await expectReply(
      ask({ kind: 'batch', id: i, key: 'probed', items: [item], announceStart: false }),
      'done',
    );
    const result = results[0];
    if (!result || 'failure' in result)
      throw new ManifestError(`golden.json: case ${i} failed: ${result?.failure.message}`);
    const expected = golden.cases[i];
    const difference = expected && differenceFromGolden(spec, expected, golden.tolerance, result.answer);
    if (difference)
      throw new ManifestError(`golden.json: case ${i}: ${difference}, which is what ${golden.source} answered`);
  }
}

async function batchability(
  ask: Ask,
  spec: VersionSpec,
  items: readonly Item[],
): Promise<Pick<VersionSpec, 'maxBatch' | 'maxBatchReason'>> {
  if (spec.maxBatch === 1) return { maxBatch: 1, maxBatchReason: spec.maxBatchReason };
  const { difference } = await expectReply(ask({ kind: 'compare', key: 'probed', items }), 'compared');
  if (difference) return { maxBatch: 1, maxBatchReason: difference };
  return {
    maxBatch: spec.maxBatch,
    maxBatchReason: `${items.length} inputs answer the same alone and beside extreme mates`,
  };
}

async function expectReply<K extends FromWorker['kind']>(
  reply: Promise<FromWorker>,
  kind: K,
): Promise<Extract<FromWorker, { kind: K }>> {
  const message = await reply;
  if (message.kind === kind) return message as Extract<FromWorker, { kind: K }>;
  throw new ManifestError('message' in message ? message.message : `an unexpected reply "${message.kind}"`);
}
