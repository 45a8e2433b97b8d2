/**
 * Checks properties that hold for every input of every task, over real HTTP. The answer is typed and consistent with its
 * input, or an InvalidInput at the input's path, or an error of the model that returned no finite number. It is the same
 * alone and in a batch, and no worker is lost. Only a long text may cost too much. fast-check makes the inputs and shrinks
 * those that fail.
 *
 * `node test/endurance/properties.ts [inputs per task] [seed]` prints a report, with the seed and the path of each
 * failure; `node test/endurance/properties.ts 1 <seed> <task> <path>` repeats one failure.
 */
import path from 'node:path';
import fc from 'fast-check';
import type { Data } from '../support/graphql-client.ts';
import { createStore } from '../support/model-store.ts';
import { OUTPUT, SPAN } from '../support/output-selection.ts';
import { type Client, openClient } from './fuzz/client.ts';
import { fillModels } from './fuzz/material.ts';
import { toJson } from './fuzz/values.ts';
import type { LoopDelay } from './fuzz/watch-loop.ts';
import { startWatched } from './fuzz/watched-server.ts';
import { differenceOf, judge, type Verdict } from './properties/answers.ts';
import { findSubjects, type Input, makeImages, questionTo, type Subject } from './properties/subjects.ts';

export interface PropertiesOptions {
  /** Least number of inputs for each task. */
  readonly inputs: number;
  readonly seed: number;
  /** A failure to repeat. */
  readonly again?: { readonly task: string; readonly path: string };
}

interface TaskReport {
  /** Inputs that were sent in batches. */
  inputs: number;
  /** Inputs that were also sent alone and gave the same answer. */
  alone: number;
  answered: number;
  invalid: number;
  /** Answers without a finite number. */
  noNumber: number;
  /** Tensors that the graph refused, for example because a token is out of range, or that gave no finite number. */
  refusedByGraph: number;
  /** Long texts whose tokens, with every field of the answer, cost more than a request may. */
  tooExpensive: number;
  seconds: number;
}

export interface PropertiesReport {
  readonly seed: number;
  readonly tasks: Readonly<Record<string, TaskReport>>;
  readonly failures: readonly string[];
  /** Lines that the server logged as errors. */
  readonly logged: readonly string[];
  /** Workers that ended or were replaced. */
  readonly workersLost: number;
  /** Exit code of the server after SIGTERM. */
  readonly exitCode: number | null;
  /** Event-loop delay of the server; null if the server ended early. */
  readonly loopDelayMs: LoopDelay | null;
}

type Asked = readonly [Subject, Input];

const CONNECTIONS = 4;
/** Number of tasks that are checked at the same time. */
const SIDE_BY_SIDE = 2;
const LONGEST_BATCH = 64;
/** Number of inputs of a batch that are also sent alone. */
const MOST_ALONE = 6;
/** Largest request; the server accepts more. */
const MOST_BYTES = 4_000_000;
/** Shorter inputs, in characters of JSON, must never cost too much. */
const LONG_INPUT = 20_000;
/** Limits how long fast-check shrinks a failure. */
const LONGEST_CHECK_MS = 120_000;
const SHOWN = 1_000;
/** Instead of the answer to a request. */
const COSTS_TOO_MUCH = Symbol('costs too much');

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { ...Payload } }`;
const PREDICT_MANY = `mutation ($input: PredictManyInput!) {
  predictMany(input: $input) { results { ...Payload } problem { code message } }
}`;
const PAYLOAD = `fragment Payload on PredictPayload {
  prediction { truncated ${OUTPUT} }
  problem { code message ... on InvalidInput { problems { path code } } }
} ${SPAN}`;

export async function properties({ inputs, seed, again }: PropertiesOptions): Promise<PropertiesReport> {
  const store = await createStore();
  try {
    const env = { MODEL_STORE: await fillModels(store), DATA_DIR: path.join(store.folder, 'data') };
    const server = await startWatched(store.folder, env);
    const client = openClient(server.url, CONNECTIONS);
    const [subjects, images, workers] = [await findSubjects(server.url), await makeImages(), await server.workers()];
    server.watchLoop();
    const failures: string[] = [];
    const tasks: Record<string, TaskReport> = {};
    const waiting = Array.from(subjects).filter(([task]) => !again || task === again.task);
    const work = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const [task, own] = next;
        const checked = new TaskCheck(client, questionTo(own, images));
        const failure = again ? await checked.check(seed, again.path) : await checked.run(inputs, seed);
        tasks[task] = checked.report;
        if (failure) failures.push(`${task}: ${failure}`);
      }
    };
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
    const loopDelayMs = await server.seenLoop();
    const left = (await server.workers()).filter(({ restarts }) => restarts === 0).map(({ pid }) => pid);
    const exitCode = await server.end('SIGTERM');
    client.close();
    const workersLost = workers.filter(({ pid }) => !left.includes(pid)).length;
    return { seed, tasks, failures, logged: server.logged, workersLost, exitCode, loopDelayMs };
  } finally {
    await store.remove();
  }
}

/** Checks the properties of one task. */
class TaskCheck {
  readonly report: TaskReport = {
    inputs: 0,
    alone: 0,
    answered: 0,
    invalid: 0,
    noNumber: 0,
    refusedByGraph: 0,
    tooExpensive: 0,
    seconds: 0,
  };
  readonly #client: Client;
  readonly #asked: fc.Arbitrary<Asked>;

  constructor(client: Client, asked: fc.Arbitrary<Asked>) {
    this.#client = client;
    this.#asked = asked;
  }

  /** Returns a description of the failure, or null. */
  async run(inputs: number, seed: number): Promise<string | null> {
    const begun = performance.now();
    for (let round = 0; this.report.inputs < inputs; round++) {
      const failure = await this.check(seed + round, undefined);
      if (failure) return failure;
    }
    this.report.seconds = Math.round((performance.now() - begun) / 1000);
    return null;
  }

  /** Checks several batches, or only the batch at the given path. */
  async check(seed: number, path: string | undefined): Promise<string | null> {
    const batches = fc.array(this.#asked, { minLength: 1, maxLength: LONGEST_BATCH, size: 'max' });
    const property = fc.asyncProperty(batches, (batch) => this.#tryBatch(batch));
    const options = { seed, numRuns: 10, interruptAfterTimeLimit: LONGEST_CHECK_MS, ...(path ? { path } : {}) };
    const found = await fc.check(property, options);
    if (!found.failed) return null;
    const [input] = found.counterexample ?? [];
    const what = input
      ?.slice(0, 4)
      .map(([{ ref }, one]) => `${ref} ${toJson(one).slice(0, SHOWN)}`)
      .join('\n');
    const why = found.errorInstance instanceof Error ? found.errorInstance.message : found.errorInstance;
    return `seed ${found.seed}, path ${found.counterexamplePath}, after ${found.numShrinks} shrinks: ${why}\n${what}`;
  }

  async #tryBatch(batch: readonly Asked[]): Promise<void> {
    for (const [subject, inputs] of batchesOf(batch)) await this.#tryInputs(subject, inputs);
  }

  /** A request that costs too much is divided. */
  async #tryInputs(subject: Subject, inputs: readonly Input[]): Promise<void> {
    const payloads = await this.#askMany(subject, inputs);
    if (payloads === COSTS_TOO_MUCH) {
      if (inputs.length === 1) return this.#countTooExpensive(inputs[0] as Input);
      const half = inputs.length >> 1;
      await this.#tryInputs(subject, inputs.slice(0, half));
      return this.#tryInputs(subject, inputs.slice(half));
    }
    for (const [i, input] of inputs.entries()) {
      const verdict = judge(subject, input, payloads[i] as Data, ['input', 'inputs', String(i)]);
      this.#count(verdict);
      if (verdict.kind === 'complaint') throw new Error(`${verdict.complaint} (input ${i})`);
    }
    const few = inputs.slice(0, MOST_ALONE).entries();
    await Promise.all(few.map(([i, input]) => this.#askAlone(subject, input, payloads[i] as Data)));
  }

  #countTooExpensive(input: Input): void {
    const { length } = toJson(input);
    if (length < LONG_INPUT) throw new Error(`an input of ${length} characters that costs too much`);
    this.report.inputs++;
    this.report.tooExpensive++;
  }

  #count({ kind }: Verdict): void {
    this.report.inputs++;
    if (kind !== 'complaint') this.report[kind]++;
  }

  async #askAlone(subject: Subject, input: Input, inCompany: Data): Promise<void> {
    const data = await this.#send(PREDICT, { model: subject.ref, input });
    if (data === COSTS_TOO_MUCH) throw new Error('an input that costs too much alone, but not in a batch');
    const { predict } = data;
    this.report.alone++;
    const verdict = judge(subject, input, predict, ['input', 'input']);
    if (verdict.kind === 'complaint') throw new Error(`alone: ${verdict.complaint}`);
    // Sums of very large floats depend on their order.
    if ('tensors' in input && subject.task !== 'TENSOR') return;
    const difference = differenceOf(plain(predict), plain(inCompany));
    if (difference) throw new Error(`the answer differs when the input is sent alone: ${difference}`);
  }

  async #askMany({ ref }: Subject, inputs: readonly Input[]): Promise<Data[] | typeof COSTS_TOO_MUCH> {
    const data = await this.#send(PREDICT_MANY, { model: ref, inputs });
    if (data === COSTS_TOO_MUCH) return COSTS_TOO_MUCH;
    const { results } = data.predictMany;
    if (results?.length !== inputs.length) throw new Error(`no results: ${JSON.stringify(data)}`);
    return results;
  }

  async #send(document: string, input: Data): Promise<Data | typeof COSTS_TOO_MUCH> {
    const variables = { input: { ...input, record: false } };
    const { status, text } = await this.#client.send(toJson({ query: `${document} ${PAYLOAD}`, variables }));
    const { data, errors } = JSON.parse(text);
    if (errors?.[0]?.extensions.code === 'COST_LIMIT_EXCEEDED') return COSTS_TOO_MUCH;
    if (status !== 200 || errors) throw new Error(`status ${status}: ${text.slice(0, SHOWN)}`);
    return data;
  }
}

/** The parts of an answer that do not depend on the batch; paths do. */
function plain({ prediction, problem }: Data): Data {
  const places = problem?.problems?.map(({ path, code }: Data) => [
    code,
    path.slice(path.indexOf('input') + 2).join('.'),
  ]);
  return { prediction, problem: problem && { code: problem.code, places: places?.map(([code]: Data) => code) } };
}

/** Groups the inputs by subject, in requests that the server accepts. */
function batchesOf(batch: readonly Asked[]): [Subject, Input[]][] {
  const batches: [Subject, Input[]][] = [];
  for (const [subject, own] of Map.groupBy(batch, ([subject]) => subject)) {
    let bytes = Number.POSITIVE_INFINITY;
    for (const [, input] of own) {
      const size = toJson(input).length;
      if (bytes + size > MOST_BYTES) {
        batches.push([subject, []]);
        bytes = 0;
      }
      batches.at(-1)?.[1].push(input);
      bytes += size;
    }
  }
  return batches;
}

if (process.argv[1] === import.meta.filename) {
  const [inputs = '10000', seed = '1', task, again] = process.argv.slice(2);
  const replay = task && again ? { again: { task, path: again } } : {};
  const report = await properties({ inputs: Number(inputs), seed: Number(seed), ...replay });
  for (const failure of report.failures) process.stderr.write(`${failure}\n`);
  process.stdout.write(`${JSON.stringify(report)}\n`);
  if (report.failures.length + report.logged.length + report.workersLost > 0) process.exitCode = 1;
}
