/**
 * Checks every message of a worker against what the worker was asked. A message may be complete and still be wrong, for
 * example because a model has corrupted the memory of its process. Nothing else in the server checks it again.
 *
 * Pure: the caller keeps the conversation and ends the worker that breaks the protocol.
 */
import { LinkedList } from '../linked-list.js';
import { isAnswerOf } from '../tasks/check-answer.js';
import {
  type Check,
  type Fields,
  isAmount,
  isArrayOf,
  isCount,
  isNumber,
  isRecord,
  isText,
  listOf,
  mapOf,
  oneOf,
  orNull,
  record,
} from '../tasks/check-shape.js';
import { DATATYPES } from '../tasks/datatypes.js';
import { isItemFailure, isRunFailure } from '../tasks/failures.js';
import { numericOutputs } from '../tasks/numeric.js';
import type { TensorSpec } from '../tasks/spec.js';
import { answerKinds, type Item, type VersionSpec } from '../tasks/tasks.js';
import { type Command, type FromWorker, type NumericBatchMessage, type ToWorker, withoutValues } from './messages.js';

/** A command that the worker has not answered yet. */
interface Asked {
  /** As of `performance.now()`. */
  readonly at: number;
  readonly command: ToWorker;
  /** The spec of the version that a batch runs with; null for other commands. */
  readonly spec: VersionSpec | null;
  hasStarted: boolean;
}

const isTensorSpec = record({ name: isText, datatype: isText, shape: listOf(orNull(isNumber)) });
const isOrigin = record({
  operator: isText,
  scores: orNull(oneOf(['softmax', 'sigmoid', 'probability', 'raw'])),
  classes: orNull(listOf(isText)),
  columns: orNull(listOf(orNull(listOf(isText)))),
  isIndex: oneOf([true, false]),
  isThreshold: oneOf([true, false]),
});
const isGraphFacts = record({
  inputs: listOf(isTensorSpec),
  outputs: listOf(isTensorSpec),
  producer: orNull(isText),
  opset: orNull(isNumber),
  parameterCount: isAmount,
  operationsPerValue: isAmount,
  outputOrigins: mapOf(isOrigin),
  classNames: orNull(listOf(isText)),
  images: record({
    rescaledInputs: listOf(isText),
    ultralytics: orNull(
      record({ task: isText, width: isAmount, height: isAmount, isPlainDetector: orNull(oneOf([true, false])) }),
    ),
  }),
  knownCategories: listOf(
    record({ input: isText, column: isAmount, values: listOf((value) => isText(value) || isNumber(value)) }),
  ),
  lostMissing: listOf(record({ input: isText, column: orNull(isAmount) })),
  embeddingRows: orNull(isAmount),
  converterFaults: listOf(isText),
  zipMap: orNull(record({ labels: listOf(isText), output: isText })),
  sequences: listOf(record({ name: isText, tensors: listOf(isText) })),
});
const isScores = record({
  rows: isAmount,
  width: isAmount,
  labels: isAmount,
  isInRange: oneOf([true, false]),
  addsUp: oneOf([true, false]),
  isNegative: oneOf([true, false]),
  isVaried: oneOf([true, false]),
});
const isTiming = record({ preprocessMs: isAmount, inferMs: isAmount, postprocessMs: isAmount });
const isFailed = record({ message: isText });
/** Two processes read the same clock, but not at the same instants. */
const CLOCK_TOLERANCE_MS = 50;
/** More than any process can have. */
const MAX_BYTES = 2 ** 50;
const isBytes: Check = (value) => isAmount(value) && Number(value) <= MAX_BYTES;

const isUse = record({ cpuMs: isAmount, grownBytes: orNull(isBytes) });
const isStart = record({ tokens: orNull(isAmount) });
const isThumbnail = record({
  bytes: isArrayOf('Uint8Array'),
  width: isCount,
  height: isCount,
  mediaType: oneOf(['image/jpeg', 'image/webp']),
});
const isEndOfBatch = record({ timing: isTiming, use: orNull(isUse) });

/** The replies to each command, with their fields. Results and runs of batches are checked below. */
const REPLIES: Readonly<Record<Command['kind'], Partial<Record<FromWorker['kind'], Check>>>> = {
  checkProvider: {
    providerChecked: record({ available: oneOf([true, false]), reason: orNull(isText) }),
    failed: isFailed,
  },
  load: {
    loaded: record({
      key: isText,
      residentBytes: orNull(isBytes),
      loadMs: isAmount,
      warmUpMs: isAmount,
      warmUpCpuMs: isAmount,
      executionProvider: isText,
    }),
    loadFailed: record({ key: isText, message: isText }),
  },
  unload: { unloaded: record({ key: isText }) },
  batch: { started: isStart, done: isEndOfBatch },
  numericBatch: { started: isStart, ran: isEndOfBatch },
  cancel: {},
  examine: { examined: record({ facts: isGraphFacts }), failed: isFailed },
  observeScores: { scoresObserved: record({ scores: isScores }), failed: isFailed },
  checkBatchInvariance: {
    batchInvariance: record({ difference: orNull(isText), padding: orNull(isText) }),
    failed: isFailed,
  },
  makeThumbnail: { thumbnailMade: record({ thumbnail: isThumbnail }), failed: isFailed },
  hidePatches: { patchesHidden: record({ images: listOf(isArrayOf('Uint8Array')) }), failed: isFailed },
};

/** The server's record of what one worker was asked and has answered. */
export class Conversation {
  #isReady = false;
  /** Oldest first. Batches run in the order in which they were sent, so a reply is found soon. */
  readonly #asked = new LinkedList<Asked>();
  /** Of the versions that the worker has loaded or is loading. */
  readonly #specs = new Map<string, VersionSpec>();

  /** Notes a command that was sent. */
  ask(command: ToWorker, now: number): void {
    if (command.kind === 'load') this.#specs.set(command.key, command.spec);
    if (command.kind === 'unload') this.#specs.delete(command.key);
    if (command.kind === 'cancel') return;
    const spec = isBatch(command) ? (this.#specs.get(command.key) ?? null) : null;
    this.#asked.push({ at: now, command: withoutValues(command), spec, hasStarted: false });
  }

  /** Returns why the message breaks the protocol; null if it is valid, which is then noted. */
  receive(message: unknown, now: number): string | null {
    if (!isRecord(message)) return 'a message is not an object';
    const { kind, id } = message;
    if (kind === 'ready') {
      const isFirst = !this.#isReady;
      this.#isReady = true;
      return isFirst ? null : 'it sent "ready" a second time';
    }
    const link = this.#asked.find(({ command }) => command.id === id);
    const asked = link?.value;
    const what = `"${String(kind)}" with the number ${String(id)}`;
    if (!this.#isReady) return `it sent ${what} before "ready"`;
    if (!link || !asked) return `it sent ${what}, which answers nothing that it was asked`;
    const problem = problemOf(message, asked, now) ?? this.#orderProblem(asked);
    if (problem) return `it sent ${what} in reply to "${asked.command.kind}": ${problem}`;
    if (kind === 'started') asked.hasStarted = true;
    else this.#asked.remove(link);
    if (kind === 'loadFailed' && 'key' in asked.command) this.#specs.delete(asked.command.key);
    return null;
  }

  /** Batches run in the order in which they were sent. */
  #orderProblem({ command }: Asked): string | null {
    if (!isBatch(command)) return null;
    const oldest = this.#asked.find((asked) => isBatch(asked.command));
    return oldest?.value.command === command ? null : 'an earlier batch is not done';
  }
}

function problemOf(message: Fields, { at, command, spec, hasStarted }: Asked, now: number): string | null {
  const { kind, key } = message;
  const replies = REPLIES[command.kind];
  if (!Object.hasOwn(replies, String(kind))) return 'this is no reply to that';
  if (!replies[kind as FromWorker['kind']]?.(message)) return 'a field is missing or is not valid';
  if (longestMs(message) > now - at + CLOCK_TOLERANCE_MS) return 'a time is longer than what has passed';
  if (key !== undefined && (!('key' in command) || key !== command.key)) return 'the key is that of another version';
  if (!isBatch(command)) return null;
  if (kind === 'started') return command.announceStart && !hasStarted ? null : 'no start was expected';
  return command.kind === 'batch'
    ? resultsProblem(message['results'], command.items, spec)
    : runsProblem(message['runs'], command, spec);
}

function isBatch(command: ToWorker): command is Extract<ToWorker, { kind: 'batch' | 'numericBatch' }> {
  return command.kind === 'batch' || command.kind === 'numericBatch';
}

/** The longest duration in a reply; 0 if it has none. */
function longestMs({ timing, loadMs, warmUpMs }: Fields): number {
  const times = isRecord(timing) ? Object.values(timing) : [loadMs, warmUpMs];
  return Math.max(0, ...times.map((ms) => (typeof ms === 'number' ? ms : 0)));
}

function resultsProblem(results: unknown, items: readonly Item[], spec: VersionSpec | null): string | null {
  if (!Array.isArray(results) || results.length !== items.length)
    return `expected ${items.length} results, received ${Array.isArray(results) ? results.length : 'none'}`;
  const wrong = results.findIndex((result, i) => !isResult(result, items[i] as Item, spec));
  return wrong < 0 ? null : `result ${wrong} is neither a failure nor an answer to its item`;
}

function isResult(result: unknown, item: Item, spec: VersionSpec | null): boolean {
  if (!isRecord(result)) return false;
  if (result['failure'] !== undefined) return isItemFailure(result['failure']);
  return spec !== null && isAnswerOf(result['answer'], answerKinds(spec.task, item));
}

/** Each item of the batch must be in exactly one run. */
function runsProblem(runs: unknown, batch: NumericBatchMessage, spec: VersionSpec | null): string | null {
  if (!Array.isArray(runs)) return 'it has no runs';
  const outputs = spec && numericOutputs(spec, batch.areTensors);
  const isAnswered = batch.counts.map(() => false);
  for (const [i, run] of runs.entries()) {
    if (!isRecord(run) || !Array.isArray(run['items']) || run['items'].length === 0) return `run ${i} has no items`;
    for (const item of run['items']) {
      if (isAnswered[item] !== false) return `run ${i} has an item that is not in the batch, or is in another run`;
      isAnswered[item] = true;
    }
    if (run['failure'] !== undefined ? !isRunFailure(run['failure']) : !areOutputs(run, batch, outputs))
      return `run ${i} is neither a failure nor has the outputs of the graph`;
  }
  return isAnswered.every(Boolean) ? null : 'an item is in no run';
}

function areOutputs(run: Fields, { counts }: NumericBatchMessage, specs: readonly TensorSpec[] | null): boolean {
  const { items, outputs } = run as { readonly items: readonly number[]; readonly outputs: unknown };
  if (!specs || !Array.isArray(outputs) || outputs.length !== specs.length) return false;
  const rows = items.length === 1 ? null : items.reduce((sum, item) => sum + (counts[item] as number), 0);
  return outputs.every((output, i) => isOutput(output, rows, specs[i] as TensorSpec));
}

/** `rows`: the first dimension, if the outputs are split by item. The values of a single item can have any shape. */
function isOutput(output: unknown, rows: number | null, { datatype }: TensorSpec): boolean {
  if (!isRecord(output) || !listOf(isCount)(output['shape'])) return false;
  const { shape, data } = output as { readonly shape: readonly number[]; readonly data: unknown };
  if (rows !== null && shape[0] !== rows) return false;
  const isOfType = datatype === 'BYTES' ? listOf(isText)(data) : isArrayOf(DATATYPES[datatype]?.array.name ?? '')(data);
  return isOfType && (data as Uint8Array).length === shape.reduce((product, size) => product * size, 1);
}
