/**
 * The first load of anything new happens in a disposable process: what does the file say, does it run, does it answer
 * what its source framework answered, and may its inputs share a batch?
 */

import { ProcessLostError, type SendToWorker } from '../engine/disposable-worker.js';
import type { Engine } from '../engine/engine.js';
import type { EngineVersion, FromWorker } from '../engine/messages.js';
import { loadMessage } from '../engine/pool.js';
import { ManifestError } from '../errors.js';
import type { Answer } from '../tasks/answer.js';
import type { GraphFacts } from '../tasks/sources.js';
import type { Item, VersionSpec } from '../tasks/tasks.js';
import { checkInput } from '../tasks/tasks.js';
import { type Golden, goldenDifference } from './golden.js';
import { type SpecSources, specOf } from './spec.js';

/** What a probe needs of the engine. */
export type Prober = Pick<Engine, 'provider' | 'withDisposableWorker'>;

export interface ProbedVersion {
  readonly spec: VersionSpec;
  readonly facts: GraphFacts;
}

export interface Candidate {
  readonly sources: Omit<SpecSources, 'facts'>;
  readonly golden: Golden | null;
  readonly artifactSha256: string;
  readonly artifactPath: string;
  readonly tokenizerPath: string | null;
}

/** Something outside killed the probe, or kept it from starting, again and again: nothing is known of the version. */
export class ProbeKilledError extends ManifestError {}

const MAX_PROBES = 3;

/** @throws ManifestError with the reason why the version cannot be published; ProbeKilledError */
export async function probeCandidate(engine: Prober, candidate: Candidate): Promise<ProbedVersion> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await engine.withDisposableWorker((ask) => probeWith(ask, engine.provider, candidate));
    } catch (error) {
      if (error instanceof ManifestError) throw error;
      const isKilled = error instanceof ProcessLostError && (error.cause === 'killed' || !error.wasReady);
      const message = error instanceof Error ? error.message : String(error);
      if (!isKilled) throw new ManifestError(message);
      if (attempt === MAX_PROBES) throw new ProbeKilledError(`${message}, ${MAX_PROBES} times`);
    }
  }
}

async function probeWith(ask: SendToWorker, provider: string, candidate: Candidate): Promise<ProbedVersion> {
  const { sources, golden, artifactSha256, artifactPath, tokenizerPath } = candidate;
  const { facts } = await expectReply(ask({ kind: 'examine', artifactPath, artifactSha256 }), 'examined');
  const spec = specOf({ ...sources, facts });
  const ref = sources.manifest.name;
  const version: EngineVersion = { key: 'probed', ref, spec, artifactPath, artifactSha256, tokenizerPath };
  const items = itemsOf(spec, golden);
  try {
    await expectReply(ask(loadMessage(version, provider)), 'loaded');
    if (golden) await compareWithGolden(ask, spec, golden, items);
    else await runItem(ask, items[0] as Item, 0, 'the example');
  } catch (error) {
    const isCrash = spec.text && error instanceof ProcessLostError && error.cause === 'crashed';
    throw isCrash
      ? new ManifestError(`${error.message} while loading and testing tokenizer.json and the graph`)
      : error;
  }
  return { spec: await withBatchLimits(ask, spec, items), facts };
}

function itemsOf(spec: VersionSpec, golden: Golden | null): Item[] {
  if (!golden) return [checkInput(spec, spec.example, ['example'])];
  return golden.cases.map(({ input }, i) => checkInput(spec, input, ['golden.json', 'cases', String(i), 'input']));
}

async function compareWithGolden(
  ask: SendToWorker,
  spec: VersionSpec,
  golden: Golden,
  items: readonly Item[],
): Promise<void> {
  for (const [i, item] of items.entries()) {
    const answered = await runItem(ask, item, i, `golden.json: case ${i}`);
    const expected = golden.cases[i];
    const difference = expected && goldenDifference(spec, expected, golden.tolerance, answered);
    if (difference)
      throw new ManifestError(`golden.json: case ${i}: ${difference}, which is what ${golden.source} answered`);
  }
}

async function runItem(ask: SendToWorker, item: Item, id: number, what: string): Promise<Answer> {
  const batch = { kind: 'batch', id, key: 'probed', items: [item], announceStart: false } as const;
  const [result] = (await expectReply(ask(batch), 'done')).results;
  if (result && 'answer' in result) return result.answer;
  throw new ManifestError(`${what} failed: ${result?.failure.message}`);
}

/** The spec with what a comparison of batched with single answers says about batching and padding. */
async function withBatchLimits(ask: SendToWorker, spec: VersionSpec, items: readonly Item[]): Promise<VersionSpec> {
  if (spec.maxBatch === 1) return spec;
  const { difference, padding } = await checkInvariance(ask, items);
  if (difference) return { ...withPads(spec, false), maxBatch: 1, maxBatchReason: difference };
  const answer = items.length === 1 ? '1 input answers' : `${items.length} inputs answer`;
  const alike = spec.text && padding ? ' of the same length' : '';
  return {
    ...withPads(spec, padding === null),
    maxBatchReason: `${answer} the same alone and beside all others that were tried${alike}`,
  };
}

/** Texts are padded where their inputs can be, and padding changes no answer. */
function withPads(spec: VersionSpec, isSafe: boolean): VersionSpec {
  return spec.text ? { ...spec, text: { ...spec.text, pads: spec.text.pads && isSafe } } : spec;
}

/** What others than its own inputs do to a version is no reason to refuse it: it runs alone. */
async function checkInvariance(
  ask: SendToWorker,
  items: readonly Item[],
): Promise<{ difference: string | null; padding: string | null }> {
  try {
    return await expectReply(ask({ kind: 'checkBatchInvariance', key: 'probed', items }), 'batchInvariance');
  } catch (error) {
    if (!(error instanceof ProcessLostError) || error.cause === 'killed') throw error;
    return { difference: `beside other inputs, ${error.message}`, padding: null };
  }
}

async function expectReply<K extends FromWorker['kind']>(
  reply: Promise<FromWorker>,
  kind: K,
): Promise<Extract<FromWorker, { kind: K }>> {
  const message = await reply;
  if (message.kind === kind) return message as Extract<FromWorker, { kind: K }>;
  throw new ManifestError('message' in message ? explained(message.message) : `an unexpected reply "${message.kind}"`);
}

/** What the runtime says in the words of its source code, where an owner can do something about it. */
function explained(message: string): string {
  const [, locale] = /Failed to construct locale with name:(.+?):/.exec(message) ?? [];
  if (!locale) return message;
  return `the graph compares words by the locale ${locale}, which is not installed here: export it with the locale "C" (skl2onnx: options={TfidfVectorizer: {'locale': 'C'}}), or install that locale`;
}
