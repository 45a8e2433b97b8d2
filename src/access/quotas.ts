/**
 * The quotas of all callers. Processes that share a store tell it what they have used, four times a second while anything
 * is used, and learn from it what others have used: so all of them together exceed a quota by what is used in that time.
 */
import type { PredictionDatabase } from '../storage/database.js';
import { Quota, type QuotaLimits } from './quota.js';
import { addQuotaUse, deleteQuotaUseBefore, findQuotaUse } from './quota.queries.js';

const REPORT_MS = 250;
/** After a report that failed. */
const RETRY_MS = 1_000;
/** Callers per report, so that the writer is free for others in between. */
const MAX_CALLERS_PER_REPORT = 500;

export class Quotas {
  readonly #db: PredictionDatabase;
  readonly #onError: (error: unknown) => void;
  /** Of keys, so there are no more than keys. */
  readonly #byCaller = new Map<string, Quota>();
  #toReport: Quota[] = [];
  #reporting: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isStopped = false;
  /** The day of the last report. */
  #day = 0;

  /** `onError` is called when a report has failed. What was used is reported later. */
  constructor(db: PredictionDatabase, onError: (error: unknown) => void) {
    this.#db = db;
    this.#onError = onError;
  }

  /** The quota of a caller, with what it has used, and these limits from now on; null if nothing is limited. */
  of(caller: string, limits: QuotaLimits | null): Quota | null {
    const known = this.#byCaller.get(caller);
    if (limits === null) {
      this.#byCaller.delete(caller);
      return null;
    }
    if (known) known.limits = limits;
    const quota = known ?? new Quota(caller, limits, (used) => this.#noteUse(used));
    this.#byCaller.set(caller, quota);
    return quota;
  }

  /** Learns what was used today, before the server started. */
  async load(): Promise<void> {
    const today = new Map<string, Quota>(this.#byCaller);
    const [first] = today.values();
    if (!first) return;
    for (const row of await findQuotaUse(this.#db, first.day)) today.get(row.caller)?.learn(row, null);
  }

  /** Reports what is left. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#reporting;
    await this.#report();
  }

  #noteUse(quota: Quota): void {
    this.#toReport.push(quota);
    this.#schedule(REPORT_MS);
  }

  #schedule(ms: number): void {
    if (this.#isStopped) return;
    this.#timer ??= setTimeout(() => {
      this.#reporting = this.#report().then((isReported) => {
        this.#timer = null;
        if (this.#toReport.length > 0) this.#schedule(isReported ? REPORT_MS : RETRY_MS);
      });
    }, ms).unref();
  }

  /** False if what was used is still to be reported. */
  async #report(): Promise<boolean> {
    const all = this.#toReport;
    this.#toReport = [];
    let isReported = true;
    for (let begin = 0; begin < all.length; begin += MAX_CALLERS_PER_REPORT)
      isReported = (await this.#reportOf(all.slice(begin, begin + MAX_CALLERS_PER_REPORT))) && isReported;
    return isReported;
  }

  async #reportOf(quotas: readonly Quota[]): Promise<boolean> {
    const reports = new Map(quotas.map((quota) => [quota.caller, { quota, used: quota.report() }]));
    try {
      const stored = await addQuotaUse(
        this.#db,
        Array.from(reports.values(), ({ used }) => used),
      );
      for (const row of stored) {
        const report = reports.get(row.caller);
        report?.quota.learn(row, report.used);
      }
      await this.#forgetOld(Math.max(...stored.map(({ day }) => day)));
      return true;
    } catch (error) {
      for (const { quota } of reports.values()) quota.remainsToReport();
      this.#onError(error);
      return false;
    }
  }

  /** Once a day, what was used before yesterday. */
  async #forgetOld(day: number): Promise<void> {
    if (day === this.#day) return;
    await deleteQuotaUseBefore(this.#db, day - 1);
    this.#day = day;
  }
}
