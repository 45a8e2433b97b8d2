/** One caller of the open-loop generator: its connections, its requests in flight and what became of them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isRight, type Output, type Right } from './answers.ts';
import { Connection, type Reply, requestBytes } from './connection.ts';
import { Histogram } from './histogram.ts';
import type { Spread } from './numbers.ts';
import type { CallerOptions, OpenLoopOptions, PhaseResult, Question } from './open-loop.ts';

/** Requests that may wait in the client for a connection. */
const MAX_WAITING = 10_000;
const SWEEP_MS = 20;
interface Prepared extends Question {
  readonly bytes: Buffer;
}

interface Sent {
  readonly phase: number;
  /** When it was due, as of `performance.now()`. */
  readonly due: number;
  readonly question: Prepared;
}

/** What became of the requests of one phase, of all callers with the same name. */
export class Tally {
  due = 0;
  right = 0;
  wrong = 0;
  late = 0;
  timeouts = 0;
  unsent = 0;
  arrivedInTime = 0;
  example: string | null = null;
  readonly latency = new Histogram();
  readonly sendDelay = new Histogram();
  readonly refused = new Histogram();
  readonly refusals = new Map<string, Histogram>();
  readonly batchSizes: Record<string, number> = {};

  result(seconds: number): PhaseResult {
    const { due, right, wrong, late, timeouts, unsent, arrivedInTime, batchSizes, example } = this;
    const refusals = Object.fromEntries(Array.from(this.refusals, ([code, { spread }]) => [code, spread]));
    const [latency, refused, sendDelay] = [this.latency, this.refused, this.sendDelay].map(({ spread }) => spread) as [
      Spread,
      Spread,
      Spread,
    ];
    const goodputPerSecond = arrivedInTime / seconds;
    return {
      due,
      right,
      wrong,
      late,
      timeouts,
      unsent,
      goodputPerSecond,
      latency,
      refused,
      refusals,
      sendDelay,
      batchSizes,
      example,
    };
  }
}

export class Caller {
  readonly #options: CallerOptions;
  readonly #all: OpenLoopOptions;
  readonly #questions: readonly Prepared[];
  readonly #tallies: readonly Tally[];
  readonly #begun: number;
  readonly #idle: Connection[] = [];
  readonly #inFlight = new Map<Connection, Sent>();
  readonly #waiting: Sent[] = [];
  #next = 0;
  #onFree: (() => void) | null = null;

  /** `tallies`: one for each phase. `begun`: start of the first phase, as of `performance.now()`. */
  constructor(options: CallerOptions, all: OpenLoopOptions, tallies: readonly Tally[], begun: number) {
    this.#begun = begun;
    this.#options = options;
    this.#all = all;
    this.#questions = options.questions.map((one) => ({ ...one, bytes: requestBytes(all.url, one.body) }));
    this.#tallies = tallies;
    setInterval(() => this.#giveUp(), SWEEP_MS).unref();
  }

  send(phase: number, due: number): void {
    const question = this.#questions[this.#next++ % this.#questions.length] as Prepared;
    const tally = this.#tally(phase);
    tally.due++;
    const connection = this.#connection();
    if (connection) this.#sendOn(connection, { phase, due, question });
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push({ phase, due, question });
    else tally.unsent++;
  }

  /** A closed loop: each connection sends its next request when it has the answer to the last. */
  async sendWheneverFree(phase: number, until: number): Promise<void> {
    const timer = setTimeout(() => this.#onFree?.(), until - performance.now());
    while (performance.now() < until) {
      while (this.#inFlight.size < this.#options.connections && performance.now() < until)
        this.send(phase, performance.now());
      await new Promise<void>((resolve) => (this.#onFree = resolve));
    }
    clearTimeout(timer);
    this.#onFree = null;
  }

  /** Resolves when every request is answered or given up. */
  async settled(): Promise<void> {
    while (this.#inFlight.size + this.#waiting.length > 0) await sleep(SWEEP_MS);
  }

  #tally(phase: number): Tally {
    return this.#tallies[phase] as Tally;
  }

  #connection(): Connection | null {
    for (let one = this.#idle.pop(); one; one = this.#idle.pop()) if (one.isOpen) return one;
    if (this.#inFlight.size >= this.#options.connections) return null;
    return new Connection({ url: this.#all.url, localAddress: this.#options.localAddress });
  }

  #sendOn(connection: Connection, sent: Sent): void {
    this.#inFlight.set(connection, sent);
    this.#tally(sent.phase).sendDelay.add(performance.now() - sent.due);
    connection.send(sent.question.bytes, (reply) => {
      this.#inFlight.delete(connection);
      this.#count(sent, reply);
      if (connection.isOpen) this.#idle.push(connection);
      else connection.close('the server closes it');
      const next = this.#waiting.shift();
      const free = next ? this.#connection() : null;
      if (next && free) this.#sendOn(free, next);
      this.#onFree?.();
    });
  }

  #giveUp(): void {
    const before = performance.now() - this.#all.timeoutMs;
    for (const [connection, { due }] of this.#inFlight) if (due < before) connection.close(TIMEOUT);
  }

  #count({ phase, due, question }: Sent, reply: Reply): void {
    const tally = this.#tally(phase);
    const now = performance.now();
    const outcome = judge(reply, question.right);
    if (reply.body === TIMEOUT) tally.timeouts++;
    else if (outcome.kind === 'refused') {
      const known = tally.refusals.get(outcome.code) ?? new Histogram();
      known.add(now - due);
      tally.refusals.set(outcome.code, known);
      tally.refused.add(now - due);
      if (!EXPECTED_REFUSALS.has(outcome.code)) tally.example ??= reply.body.slice(0, 500);
    } else if (outcome.kind === 'wrong') {
      tally.wrong++;
      tally.example ??= reply.body.slice(0, 500);
    } else {
      tally.latency.add(now - due);
      tally.batchSizes[outcome.batchSize] = (tally.batchSizes[outcome.batchSize] ?? 0) + 1;
      if (now - due > this.#all.deadlineMs) tally.late++;
      else {
        tally.right++;
        const arrivedIn = this.#phaseAt(now);
        if (arrivedIn) arrivedIn.arrivedInTime++;
      }
    }
  }

  #phaseAt(now: number): Tally | undefined {
    let end = this.#begun;
    return this.#tallies.find((_, i) => {
      end += 1_000 * (this.#all.phases[i]?.seconds ?? 0);
      return now < end;
    });
  }
}

const TIMEOUT = 'the client gave up';
const EXPECTED_REFUSALS = new Set(['OVERLOADED', 'DEADLINE_EXCEEDED in queue', 'DEADLINE_EXCEEDED in run']);

type Judged =
  | { readonly kind: 'right'; readonly batchSize: number }
  | { readonly kind: 'wrong' }
  | { readonly kind: 'refused'; readonly code: string };

interface Answer {
  readonly data?: {
    readonly predict?: {
      readonly prediction: { readonly output: Output; readonly timing: { readonly batchSize: number } } | null;
      readonly problem: { readonly code: string; readonly phase?: string } | null;
    } | null;
  } | null;
  readonly errors?: readonly { readonly extensions?: { readonly code?: string } }[];
}

function judge({ status, body }: Reply, right: Right): Judged {
  if (status === 0) return { kind: 'refused', code: body };
  let answer: Answer;
  try {
    answer = JSON.parse(body);
  } catch {
    return { kind: 'refused', code: `HTTP ${status}` };
  }
  const { prediction, problem } = answer.data?.predict ?? {};
  if (problem) return { kind: 'refused', code: problem.phase ? `${problem.code} in ${problem.phase}` : problem.code };
  if (!prediction) return { kind: 'refused', code: answer.errors?.[0]?.extensions?.code ?? `HTTP ${status}` };
  if (!isRight(prediction.output, right)) return { kind: 'wrong' };
  return { kind: 'right', batchSize: prediction.timing.batchSize };
}
