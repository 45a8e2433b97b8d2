/**
 * Compares answers of versions in threads, one at a time for changes and one at a time for those who only ask. What was
 * computed is remembered: the same evaluations give the same numbers.
 */
import { createHash } from 'node:crypto';
import { SYSTEM } from '../access/principal.js';
import { computeInThread } from '../compute-in-thread.js';
import { ComputingTimeoutError, UploadLimitError } from '../errors.js';
import { OneAtATime } from '../fair-share.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { ComparedAnswers, ComparingTask } from './comparing-thread.js';
import { findAnswerDigests } from './comparison.queries.js';
import type { MetricKey } from './paired.js';

/** An evaluation that succeeded, and what its answers mean. */
export interface ComparedEvaluation {
  readonly id: string;
  /** Of the graph. */
  readonly artifactSha256: string;
  /** Null for numbers. */
  readonly labels: readonly string[] | null;
}

export interface WantedComparison {
  readonly holder: ComparedEvaluation;
  readonly candidates: readonly ComparedEvaluation[];
  readonly rowsSha256: string;
  readonly metrics: readonly MetricKey[];
  readonly kind: ComparingTask['kind'];
}

export type Purpose = 'change' | 'question';

/** Why something is compared, and for whom: an account, or a model whose alias is to be moved. */
export interface ComparedFor {
  readonly purpose: Purpose;
  readonly caller: string;
}

/** `maxWaiting`: of one caller, as many as are left for all others. */
const LIMITS = {
  change: { maxMs: 120_000, maxWaiting: 100 },
  question: { maxMs: 30_000, maxWaiting: 20 },
} as const satisfies Record<Purpose, object>;

const MAX_REMEMBERED = 500;
const FILE = new URL('./comparing-thread.js', import.meta.url);

interface ComparisonParts {
  readonly db: CatalogDatabase;
  readonly blobs: BlobFolder;
  /** Aborted when the server stops. */
  readonly signal: AbortSignal;
}

export class Comparisons {
  readonly #parts: ComparisonParts;
  /** By a digest of what was compared, which lists all labels. The one that was used last is the last. */
  readonly #remembered = new Map<string, readonly ComparedAnswers[]>();
  readonly #waiting = {
    change: new OneAtATime(LIMITS.change.maxWaiting),
    question: new OneAtATime(LIMITS.question.maxWaiting),
  };

  constructor(parts: ComparisonParts) {
    this.#parts = parts;
  }

  /**
   * For each candidate, in order.
   *
   * @throws UploadLimitError, ComputingTimeoutError
   */
  async compare(wanted: WantedComparison, { purpose, caller }: ComparedFor): Promise<readonly ComparedAnswers[]> {
    const key = createHash('sha256').update(JSON.stringify(wanted)).digest('base64');
    const known = this.#known(key);
    if (known) return known;
    const waiting = this.#waiting[purpose];
    if (!waiting.hasRoomFor(caller)) throw new UploadLimitError('Too many comparisons are waiting.', waiting.waiting);
    const compute = () => this.#known(key) ?? this.#compute(wanted, LIMITS[purpose].maxMs);
    const found = await waiting.run(caller, compute);
    this.#remember(key, found);
    return found;
  }

  async #compute(wanted: WantedComparison, maxMs: number): Promise<readonly ComparedAnswers[]> {
    const { holder, candidates, rowsSha256, metrics, kind } = wanted;
    const filesOf = async ({ id, labels }: ComparedEvaluation) => {
      const digests = await findAnswerDigests(this.#parts.db, SYSTEM, id);
      return { labels, files: digests.map((sha256) => this.#parts.blobs.pathOf(sha256)) };
    };
    const task: ComparingTask = {
      holder: await filesOf(holder),
      candidates: await Promise.all(
        candidates.map(async (one) => ({
          ...(await filesOf(one)),
          isSameGraph: one.artifactSha256 === holder.artifactSha256,
          seed: createHash('sha256')
            .update(`${rowsSha256} ${holder.artifactSha256} ${one.artifactSha256}`)
            .digest('hex'),
        })),
      ),
      metrics,
      kind,
    };
    const timeout = () => new ComputingTimeoutError(maxMs);
    return computeInThread(FILE, task, { maxMs, timeout, signal: this.#parts.signal });
  }

  #known(key: string): readonly ComparedAnswers[] | undefined {
    const found = this.#remembered.get(key);
    if (found) this.#remember(key, found);
    return found;
  }

  #remember(key: string, found: readonly ComparedAnswers[]): void {
    this.#remembered.delete(key);
    this.#remembered.set(key, found);
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > MAX_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest);
  }
}
