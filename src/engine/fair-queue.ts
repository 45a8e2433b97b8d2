/**
 * The queue of all versions: who runs next, so that nobody takes more than a fair share of the workers.
 *
 * Shares are counted in predicted milliseconds of computing, the loads of versions included. The caller who has used least goes first; a caller who was
 * idle starts level with the others, because unused time cannot be saved up (start-time fair queueing). Within the share
 * of a caller, the same rule holds between the versions and priorities the caller uses, with the weights below. So HIGH
 * inputs pass the other inputs of their caller, never those of other callers, and no input waits forever. LOW inputs
 * also count four times against their caller: they yield to all other callers.
 *
 * A batch holds inputs of one version, whoever sent them. Within one version, caller and priority, inputs run in order
 * of arrival.
 *
 * Pure: no timers and no workers. Callers pass the current time in milliseconds. Choosing a batch takes time in proportion
 * to the number of callers who wait; adding, removing and predicting do not depend on the length of the queue.
 */
import { type Link, LinkedList } from '../linked-list.js';
import type { BatchSize } from './latency.js';
import {
  type Entry,
  isObsolete,
  isWithin,
  PRIORITIES,
  type PriorityName,
  type QueuePlace,
  sizeOf,
  sum,
} from './queue.js';

const WEIGHTS: Readonly<Record<PriorityName, number>> = { HIGH: 16, NORMAL: 4, LOW: 1 };
/** How much of the caller's share a millisecond takes. */
const CHARGES: Readonly<Record<PriorityName, number>> = { HIGH: 1, NORMAL: 1, LOW: 4 };

/** Callers who are remembered although nothing of theirs is queued, so that a pause does not reset what they have used. */
const MAX_IDLE_CALLERS = 1_000;

/** The entries of one caller for one version with one priority, oldest first. */
interface Flow {
  readonly key: string;
  readonly priority: PriorityName;
  readonly caller: Caller;
  readonly entries: LinkedList<Entry>;
  /** Computing used, divided by the weight. */
  usedMs: number;
  queuedMs: number;
  /** `usedMs` of the caller before the version was loaded for the flow's first entry; null if it was not. */
  placeMs: number | null;
}

interface Place extends QueuePlace {
  readonly flow: Flow;
  readonly link: Link<Entry>;
}

interface Caller {
  readonly id: string;
  /** Flows that have entries. */
  readonly flows: Map<string, Flow>;
  usedMs: number;
  /** `usedMs` of the flow that was served last; flows that become active start there. */
  servedMs: number;
  queuedMs: number;
  rows: number;
  bytes: number;
}

interface Totals {
  readonly rows: number;
  readonly bytes: number;
  /** Predicted milliseconds of computing. */
  readonly queuedMs: number;
}

export class FairQueue {
  readonly #callers = new Map<string, Caller>();
  readonly #active = new Set<Caller>();
  /** By version. */
  readonly #flows = new Map<string, Set<Flow>>();
  readonly #rows = new Map<string, number>();
  #totals = { rows: 0, bytes: 0, queuedMs: 0 };
  #entries = 0;
  /** `usedMs` of the caller who was served last. */
  #servedMs = 0;

  get isEmpty(): boolean {
    return this.#entries === 0;
  }

  get totals(): Totals {
    return this.#totals;
  }

  /** Queued rows of a version. */
  rowsOf(key: string): number {
    return this.#rows.get(key) ?? 0;
  }

  /** Predicted milliseconds of computing that a version has queued. */
  queuedMsOf(key: string): number {
    let queuedMs = 0;
    for (const flow of this.#flows.get(key) ?? []) queuedMs += flow.queuedMs;
    return queuedMs;
  }

  /** What a caller has queued, of all versions. */
  totalsOf(caller: string): Totals {
    return this.#callers.get(caller) ?? { rows: 0, bytes: 0, queuedMs: 0 };
  }

  push(key: string, entry: Entry): void {
    const flow = this.#activate(key, entry);
    this.#place(entry, flow, flow.entries.push(entry));
  }

  /** Puts entries back to the front in their original order, because they have waited longest. */
  requeue(key: string, entries: readonly Entry[]): void {
    for (const entry of entries.toReversed()) {
      const flow = this.#activate(key, entry);
      this.#place(entry, flow, flow.entries.unshift(entry));
    }
  }

  /** Removes an entry that no longer needs a run. Returns false if it is not queued. */
  remove(entry: Entry): boolean {
    if (entry.place?.queue !== this) return false;
    const { flow, link } = entry.place as Place;
    entry.place = null;
    flow.entries.remove(link);
    this.#count(entry, flow, -1);
    if (flow.entries.size === 0) this.#deactivate(flow);
    return true;
  }

  #place(entry: Entry, flow: Flow, link: Link<Entry>): void {
    const place: Place = { queue: this, flow, link };
    entry.place = place;
    this.#count(entry, flow, 1);
  }

  /** The versions that have entries. */
  get versions(): Iterable<string> {
    return this.#flows.keys();
  }

  /** The version whose turn it is, of these or of all, and the entry that `take` would return first. */
  next(now: number, versions?: ReadonlySet<string>): { key: string; entry: Entry } | null {
    for (;;) {
      const flow = leastFlow(this.#flowsOf(versions ?? this.#flows.keys()));
      const entry = flow?.entries.first;
      if (!flow || !entry) return null;
      if (!isObsolete(entry, now)) return { key: flow.key, entry };
      this.remove(entry);
    }
  }

  *#flowsOf(versions: Iterable<string>): Generator<Flow> {
    for (const key of versions) yield* this.#flows.get(key) ?? [];
  }

  /** Removes and returns entries of a version within the limits, but always the first one. */
  take(key: string, limits: BatchSize, now: number): Entry[] {
    const taken: Entry[] = [];
    let size: BatchSize = { rows: 0, work: 0, preprocessingWork: 0 };
    while (size.rows < limits.rows) {
      const flow = leastFlow(this.#flows.get(key) ?? []);
      const entry = flow?.entries.first;
      if (!flow || !entry) break;
      const larger = sum(size, sizeOf(entry));
      if (isObsolete(entry, now)) this.remove(entry);
      else if (taken.length > 0 && !isWithin(larger, limits)) break;
      else {
        size = larger;
        this.#serve(flow, entry);
        taken.push(entry);
      }
    }
    return taken;
  }

  /** Corrects what an entry's caller has used, when the duration of its run is known. */
  correct(key: string, { connection, priority, costMs }: Entry, actualMs: number): void {
    const caller = this.#callers.get(connection.caller);
    const flow = caller?.flows.get(flowKey(key, priority));
    if (caller) caller.usedMs += CHARGES[priority] * (actualMs - costMs);
    if (flow) flow.usedMs += (actualMs - costMs) / WEIGHTS[priority];
  }

  /**
   * Counts the load of a version for the caller whose entry needs it, in milliseconds; negative if less was needed than has
   * been counted. The entry keeps its place, as if load and run were one: what it took counts against the caller's next ones.
   */
  chargeLoad(key: string, { connection, priority }: Entry, ms: number): void {
    const caller = this.#callers.get(connection.caller);
    const flow = caller?.flows.get(flowKey(key, priority));
    if (flow) flow.placeMs ??= flow.caller.usedMs;
    if (caller) caller.usedMs += CHARGES[priority] * ms;
  }

  /**
   * Predicted milliseconds of computing that come before a new entry of `costMs`: the caller's own entries, and of every
   * other caller who waits as much, and one entry more. `queuedMs` counts what others have queued already, `shareMs` all
   * that they may queue until then.
   */
  ahead(key: string, callerId: string, priority: PriorityName, costMs: number): { queuedMs: number; shareMs: number } {
    const caller = this.#callers.get(callerId);
    const flow = caller?.flows.get(flowKey(key, priority));
    const weights = caller?.flows.values().reduce((total, { priority }) => total + WEIGHTS[priority], 0) ?? 0;
    const ownMs = caller && flow ? Math.min(caller.queuedMs, (flow.queuedMs * weights) / WEIGHTS[priority]) : 0;
    const aheadOfShareMs = Math.max(0, (caller?.usedMs ?? 0) - this.#servedMs);
    const others = this.#active.size - (caller && this.#active.has(caller) ? 1 : 0);
    const othersMs = this.#totals.queuedMs - (caller?.queuedMs ?? 0);
    const shareMs = others * (CHARGES[priority] * ownMs + aheadOfShareMs + costMs);
    return { queuedMs: ownMs + Math.min(othersMs, shareMs), shareMs: ownMs + shareMs };
  }

  #serve(flow: Flow, entry: Entry): void {
    const { caller } = flow;
    this.#servedMs = Math.max(this.#servedMs, usedBefore(flow));
    flow.placeMs = null;
    caller.servedMs = Math.max(caller.servedMs, flow.usedMs);
    caller.usedMs += CHARGES[flow.priority] * entry.costMs;
    flow.usedMs += entry.costMs / WEIGHTS[flow.priority];
    this.remove(entry);
  }

  #activate(key: string, { connection, priority }: Entry): Flow {
    const caller = this.#callerNamed(connection.caller);
    if (caller.flows.size === 0) {
      caller.usedMs = Math.max(caller.usedMs, this.#servedMs);
      this.#active.add(caller);
    }
    const known = caller.flows.get(flowKey(key, priority));
    if (known) return known;
    const flow = {
      key,
      priority,
      caller,
      entries: new LinkedList<Entry>(),
      usedMs: caller.servedMs,
      queuedMs: 0,
      placeMs: null,
    };
    caller.flows.set(flowKey(key, priority), flow);
    const flows = this.#flows.get(key);
    if (flows) flows.add(flow);
    else this.#flows.set(key, new Set([flow]));
    return flow;
  }

  #deactivate(flow: Flow): void {
    const { caller, key } = flow;
    caller.flows.delete(flowKey(key, flow.priority));
    const flows = this.#flows.get(key);
    flows?.delete(flow);
    if (flows?.size === 0) this.#flows.delete(key);
    if (caller.flows.size === 0) this.#active.delete(caller);
  }

  #callerNamed(id: string): Caller {
    const known = this.#callers.get(id);
    if (known) return known;
    if (this.#callers.size >= MAX_IDLE_CALLERS + this.#active.size) this.#forgetIdleCallers();
    const caller = { id, flows: new Map(), usedMs: 0, servedMs: 0, queuedMs: 0, rows: 0, bytes: 0 };
    this.#callers.set(id, caller);
    return caller;
  }

  #forgetIdleCallers(): void {
    for (const [id, caller] of this.#callers) if (!this.#active.has(caller)) this.#callers.delete(id);
  }

  #count(entry: Entry, flow: Flow, sign: 1 | -1): void {
    const { rows } = entry.item;
    const [bytes, queuedMs] = [sign * entry.bytes, sign * entry.costMs];
    const { caller, key } = flow;
    this.#entries += sign;
    flow.queuedMs += queuedMs;
    caller.queuedMs += queuedMs;
    caller.rows += sign * rows;
    caller.bytes += bytes;
    this.#totals.rows += sign * rows;
    this.#totals.bytes += bytes;
    this.#totals.queuedMs += queuedMs;
    // Sums of fractions drift; an empty queue is exactly empty.
    if (this.#entries === 0) this.#totals.queuedMs = 0;
    const ofVersion = this.rowsOf(key) + sign * rows;
    if (ofVersion === 0) this.#rows.delete(key);
    else this.#rows.set(key, ofVersion);
  }
}

function flowKey(key: string, priority: PriorityName): string {
  return `${priority} ${key}`;
}

function arrivalOf(flow: Flow | null): number {
  return flow?.entries.first?.enqueuedAt ?? Number.POSITIVE_INFINITY;
}

/** The flow that runs next: of the caller who has used least, then with the least use, the highest priority, the oldest. */
function leastFlow(flows: Iterable<Flow>): Flow | null {
  let best: Flow | null = null;
  for (const flow of flows) if (!best || isBefore(flow, best)) best = flow;
  return best;
}

/** What the caller had used when the flow's first entry took its place. */
function usedBefore({ placeMs, caller }: Flow): number {
  return placeMs ?? caller.usedMs;
}

function isBefore(a: Flow, b: Flow): boolean {
  if (usedBefore(a) !== usedBefore(b)) return usedBefore(a) < usedBefore(b);
  if (a.caller === b.caller && a.usedMs !== b.usedMs) return a.usedMs < b.usedMs;
  if (a.caller === b.caller && a.priority !== b.priority)
    return PRIORITIES.indexOf(a.priority) < PRIORITIES.indexOf(b.priority);
  return arrivalOf(a) < arrivalOf(b);
}
