/**
 * Tests a new version in a disposable process, because loading or running an unknown graph can crash it. Reads the facts of
 * the graph, runs the golden cases or the example, and checks batch invariance.
 */

import { isDeepStrictEqual } from 'node:util';
import { maxUseMs, ProcessLostError, type ReusableProcesses, type SendToWorker } from '../engine/disposable-worker.js';
import {
  answered,
  batchMessage,
  type DataBlobs,
  type FromWorker,
  type LoadableVersion,
  loadMessage,
} from '../engine/messages.js';
import { InvalidInputError, ManifestError, RetriedImportError } from '../errors.js';
import type { Answer } from '../tasks/answer.js';
import { distinctBytes } from '../tasks/data-bytes.js';
import { EXAMPLE_FAILED, isOutOfMemory } from '../tasks/failures.js';
import { settledHead } from '../tasks/score-head.js';
import type { GraphFacts } from '../tasks/sources.js';
import type { DataFile, TensorSpec } from '../tasks/spec.js';
import type { Item, VersionSpec } from '../tasks/tasks.js';
import { checkInput } from '../tasks/tasks.js';
import { refuseLostMissing } from './columns.js';
import { exampleRefusal } from './example.js';
import { type Golden, goldenDifference, NOT_VERIFIED, Tolerance, type Verification } from './golden.js';
import { ImportStoppedError } from './import-errors.js';
import { measuredOutputs } from './measured-outputs.js';
import { specOf, specOfTensors, taskSourcesOf } from './spec.js';
import type { SpecSources } from './text-spec.js';

export interface Prober {
  /** The execution provider in use. */
  readonly provider: string;
  /** Data memory that one worker may allocate, in bytes. */
  readonly workerMemoryBytes: number;
  readonly processes: Pick<ReusableProcesses, 'inUsedProcess' | 'inFreshProcess'>;
}

export interface ProbedVersion {
  readonly spec: VersionSpec;
  readonly facts: GraphFacts;
  readonly verification: Verification;
}

/** A version to be probed. */
export interface Candidate {
  readonly sources: Omit<SpecSources, 'facts'>;
  readonly golden: Golden | null;
  readonly artifactSha256: string;
  readonly artifactPath: string;
  readonly dataFiles: readonly DataFile[];
  readonly dataBlobs: DataBlobs;
  readonly tokenizerPath: string | null;
}

/**
 * The process was killed from outside, or could not start, in every attempt. This says nothing about the version, so the
 * import can be retried.
 */
export class ProbeKilledError extends RetriedImportError {}

/** The version needs more memory than a worker may allocate, so the import can be retried with a higher limit. */
export class ProbeMemoryError extends ManifestError {}

const MAX_ATTEMPTS = 3;

/**
 * Probes a version, in a process that has probed others if there is one. Only a flawless result of such a process counts.
 * Everything that counts against a version comes from a fresh process, up to 3 times if that is killed from outside, or is kept
 * from computing by a busy machine.
 *
 * @throws ManifestError with the reason why the version cannot be published
 * @throws ProbeKilledError
 * @throws ImportStoppedError
 * @throws ProbeMemoryError
 */
export async function probeCandidate(prober: Prober, candidate: Candidate): Promise<ProbedVersion> {
  const { processes } = prober;
  const maxMs = maxUseMs(distinctBytes(candidate.dataFiles));
  const again = await processes.inUsedProcess(async (send) => {
    await expectReply(send({ kind: 'unload', key: KEY }), 'unloaded');
    return probeWith(send, prober, candidate);
  }, maxMs);
  if (again?.isFlawless) return again;
  for (let attempt = 1; ; attempt++) {
    try {
      return await processes.inFreshProcess((send) => probeWith(send, prober, candidate), maxMs);
    } catch (error) {
      if (error instanceof ManifestError) throw error;
      const message = error instanceof Error ? error.message : String(error);
      const lost = error instanceof ProcessLostError ? error : null;
      if (lost?.wasReady && (lost.cause === 'memoryLimit' || isOutOfMemory(message)))
        throw new ProbeMemoryError(message);
      if (lost?.cause === 'stopped') throw new ImportStoppedError();
      const isKilled = lost && (lost.cause === 'killed' || !lost.wasReady || lost.wasStarved);
      if (!isKilled) throw new ManifestError(message);
      if (attempt === MAX_ATTEMPTS) throw new ProbeKilledError(`${message}, ${MAX_ATTEMPTS} times`);
    }
  }
}

/** The key of the version that a probe has loaded. */
const KEY = 'probed';

async function probeWith(
  send: SendToWorker,
  { provider, workerMemoryBytes }: Prober,
  candidate: Candidate,
): Promise<ProbedVersion & { readonly isFlawless: boolean }> {
  const { sources, golden, artifactSha256, artifactPath, dataFiles, dataBlobs, tokenizerPath } = candidate;
  const examine = { kind: 'examine', artifactPath, artifactSha256, dataFiles, dataBlobs } as const;
  const { facts: declared } = await expectReply(send(examine), 'examined');
  if (!golden && declared.converterFaults.length > 0) throw new ManifestError(declared.converterFaults.join('; '));
  const ref = sources.manifest.name;
  const versionWith = (spec: VersionSpec): LoadableVersion => {
    const withFiles = { ...spec, ...(dataFiles.length > 0 && { dataFiles }) };
    return { key: KEY, ref, spec: withFiles, artifactPath, artifactSha256, dataBlobs, tokenizerPath };
  };
  const facts = await withMeasuredOutputs(send, { provider, versionWith }, { ...sources, facts: declared }, golden);
  const load = async (spec: VersionSpec) => {
    const version = versionWith(spec);
    await expectReply(send(loadMessage(version, provider)), 'loaded');
    return version.spec;
  };
  let spec = specOf({ ...sources, facts });
  if (!golden) refuseLostMissing(spec, facts);
  const items = itemsOf(spec, golden);
  let verification = NOT_VERIFIED;
  try {
    spec = await load(spec);
    const settled = await withSettledHead(send, spec, { ...sources, facts }, items);
    if (settled !== spec) {
      await expectReply(send({ kind: 'unload', key: KEY }), 'unloaded');
      spec = await load(settled);
    }
    if (golden) verification = await compareWithGolden(send, spec, golden, items);
    else await runItem(send, spec, items[0] as Item, EXAMPLE);
  } catch (error) {
    throw explainedFailure(error, spec, candidate);
  }
  const limited = await withBatchLimits(send, spec, items, workerMemoryBytes);
  const isFlawless = limited.maxBatch === spec.maxBatch && limited.text?.pads === spec.text?.pads;
  return { spec: limited, facts, verification, isFlawless };
}

/** What failed, in the terms of the owner's files. */
function explainedFailure(error: unknown, spec: VersionSpec, { sources: { manifest }, golden }: Candidate): unknown {
  if (!(error instanceof Error) || isOutOfMemory(error.message)) return error;
  if (error instanceof ProcessLostError && error.cause === 'crashed') {
    if (spec.text) return new ManifestError(`${error.message} while loading and testing tokenizer.json and the graph`);
    const tested = golden ? `${error.message} with the example or a case of golden.json` : error.message;
    const reason = `The graph crashes ONNX Runtime: ${tested}`;
    return new ManifestError(exampleRefusal(spec, manifest, { reason, isAnswered: false }));
  }
  const begin = [EXAMPLE_FAILED, `${EXAMPLE} failed: `].find((start) => error.message.startsWith(start));
  if (!(error instanceof ManifestError) || !begin) return error;
  const reason = sentence(error.message.slice(begin.length));
  return new ManifestError(exampleRefusal(spec, manifest, { reason, isAnswered: begin !== EXAMPLE_FAILED }));
}

/** How `runItem` names the example. */
const EXAMPLE = 'the example';

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

/** The facts with the sizes of outputs that a row of the golden cases, or the example, has. As declared if it fails. */
async function withMeasuredOutputs(
  send: SendToWorker,
  { provider, versionWith }: { provider: string; versionWith: (spec: VersionSpec) => LoadableVersion },
  sources: SpecSources,
  golden: Golden | null,
): Promise<GraphFacts> {
  const { facts } = sources;
  const spec = specOfTensors(sources);
  if (!spec) return facts;
  let { outputs } = facts;
  try {
    const [item] = itemsOf(spec, golden);
    await expectReply(send(loadMessage(versionWith(spec), provider)), 'loaded');
    outputs = measuredOutputs(outputs, await runItem(send, spec, item as Item, EXAMPLE));
  } catch (error) {
    // The same fails again, and is explained, when the version itself is probed.
    if (!(error instanceof ManifestError || error instanceof InvalidInputError)) throw error;
  }
  await expectReply(send({ kind: 'unload', key: KEY }), 'unloaded');
  return { ...facts, outputs };
}

/** Returns the spec with what the scores of some inputs tell about its head; the same spec if that was assumed already. */
async function withSettledHead(
  send: SendToWorker,
  spec: VersionSpec,
  sources: SpecSources,
  items: readonly Item[],
): Promise<VersionSpec> {
  if (spec.head.kind !== 'scores') return spec;
  const observe = { kind: 'observeScores', key: KEY, items: items.slice(0, MAX_OBSERVED) } as const;
  const { scores } = await expectReply(send(observe), 'scoresObserved');
  const head = settledHead(spec.head, taskSourcesOf(sources, spec.labels), scores);
  // A head with scores or a label belongs to the same tasks.
  return isDeepStrictEqual(head, spec.head) ? spec : ({ ...spec, head } as VersionSpec);
}

/** Items of which the scores are looked at. */
const MAX_OBSERVED = 16;

function itemsOf(spec: VersionSpec, golden: Golden | null): Item[] {
  if (!golden) return [checkInput(spec, spec.example, ['example'])];
  return golden.cases.map(({ input }, i) => checkInput(spec, input, ['golden.json', 'cases', String(i), 'input']));
}

async function compareWithGolden(
  send: SendToWorker,
  spec: VersionSpec,
  golden: Golden,
  items: readonly Item[],
): Promise<Verification> {
  const tolerance = new Tolerance(golden.tolerance);
  for (const [i, item] of items.entries()) {
    const answered = await runItem(send, spec, item, `golden.json: case ${i}`);
    const expected = golden.cases[i];
    const difference = expected && goldenDifference(spec, expected, tolerance, answered);
    if (difference) throw new ManifestError(`golden.json: case ${i} differs from ${golden.source}: ${difference}`);
  }
  const { source } = golden;
  return { cases: items.length, source, tolerance: golden.tolerance, maxDifference: tolerance.largest };
}

async function runItem(send: SendToWorker, spec: VersionSpec, item: Item, what: string): Promise<Answer> {
  const batch = batchMessage(spec, [item], { key: KEY, announceStart: false, measureUse: false });
  const reply = await (batch.kind === 'batch' ? expectReply(send(batch), 'done') : expectReply(send(batch), 'ran'));
  const [result] = answered(reply, batch, spec, rethrow).results;
  if (result && 'answer' in result) return result.answer;
  const reason = `${what} failed: ${result?.failure.message}`;
  throw result?.failure.kind === 'memory' ? new ProbeMemoryError(reason) : new ManifestError(reason);
}

/** Returns the spec with the result of the batch invariance check: whether inputs can share a run, and be padded for it. */
async function withBatchLimits(
  send: SendToWorker,
  spec: VersionSpec,
  items: readonly Item[],
  workerMemoryBytes: number,
): Promise<VersionSpec> {
  if (spec.maxBatch === 1) return spec;
  const checked = await checkInvariance(send, items);
  if (checked === 'out of memory') {
    const maxBatchReason = `batches could not be checked for lack of memory; WORKER_MEMORY_BYTES is ${workerMemoryBytes}: they are checked again when it is raised`;
    return { ...withPads(spec, false), maxBatch: 1, maxBatchReason, uncheckedBatchesBytes: workerMemoryBytes };
  }
  const { difference, padding } = checked;
  if (difference) return { ...withPads(spec, false), maxBatch: 1, maxBatchReason: difference };
  const inputs = items.length === 1 ? '1 input' : `${items.length} inputs`;
  const neighbors = spec.text && padding ? 'other inputs of the same length' : 'other inputs';
  return {
    ...withPads(spec, padding === null),
    outputs: spec.outputs.map(withOpenRows),
    maxBatchReason: `tested ${inputs}: each answer is the same alone and in batches with ${neighbors}`,
  };
}

/** Exporters sometimes declare the size of the example that they traced: one row, although there is one per input row. */
function withOpenRows(output: TensorSpec): TensorSpec {
  return output.shape.length === 0 ? output : { ...output, shape: [null, ...output.shape.slice(1)] };
}

/** Allows padding if the graph supports it and it is safe, that is, does not change answers. */
function withPads(spec: VersionSpec, isSafe: boolean): VersionSpec {
  return spec.text ? { ...spec, text: { ...spec.text, pads: spec.text.pads && isSafe } } : spec;
}

/**
 * A crash during this check does not fail the version, because its own inputs worked, and neither does a lack of memory.
 * It then runs inputs one at a time.
 */
async function checkInvariance(
  send: SendToWorker,
  items: readonly Item[],
): Promise<{ difference: string | null; padding: string | null } | 'out of memory'> {
  try {
    return await expectReply(send({ kind: 'checkBatchInvariance', key: KEY, items }), 'batchInvariance');
  } catch (error) {
    if (error instanceof ProbeMemoryError) return 'out of memory';
    if (!(error instanceof ProcessLostError) || ['killed', 'stopped'].includes(error.cause) || error.wasStarved)
      throw error;
    if (error.cause === 'memoryLimit' || isOutOfMemory(error.message)) return 'out of memory';
    return { difference: `in a batch with other inputs, ${error.message}`, padding: null };
  }
}

async function expectReply<K extends FromWorker['kind']>(
  reply: Promise<FromWorker>,
  kind: K,
): Promise<Extract<FromWorker, { kind: K }>> {
  const message = await reply;
  if (message.kind === kind) return message as Extract<FromWorker, { kind: K }>;
  if ('message' in message && isOutOfMemory(message.message)) throw new ProbeMemoryError(message.message);
  throw new ManifestError(
    'message' in message ? message.message : `the worker sent an unexpected reply "${message.kind}". This is a bug.`,
  );
}

function rethrow(bug: unknown): never {
  throw bug;
}
