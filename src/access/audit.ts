/**
 * The audit log: every change of the catalog and of access, with who made it, in a chain of digests.
 *
 * The digest of an entry covers its fields and the digest of the entry before it, so that an entry that was edited, removed or
 * moved breaks the chain. The head, kept beside the log, tells when the last entries are missing.
 */
import { createHash } from 'node:crypto';

export interface AuditEntry {
  /** 1 for the first entry, without gaps. */
  readonly sequence: number;
  readonly at: Date;
  /** The account that made the change. */
  readonly account: string;
  /** The key that it was made with; null for tokens, the local principal, the command line and the server itself. */
  readonly keyId: string | null;
  /** Of the token that it was made with: who issued it, and to whom; null if there was none. */
  readonly issuer: string | null;
  readonly subject: string | null;
  /** The name of the mutation, or of what else was done. */
  readonly action: string;
  /** What was changed, such as "spam-filter@champion". */
  readonly target: string;
  /** As the caller gave it. */
  readonly reason: string | null;
  /** The state before and after as JSON; null if there was or is none. */
  readonly before: string | null;
  readonly after: string | null;
  readonly sha256: string;
}

/** The newest entry. */
export interface AuditHead {
  readonly sequence: number;
  readonly sha256: string;
}

/** Before the first entry. */
export const EMPTY_LOG: AuditHead = { sequence: 0, sha256: '0'.repeat(64) };

/** SHA-256 of the digest of the entry before, a line break, and the fields as a JSON list. */
export function digestOf(previous: string, entry: Omit<AuditEntry, 'sha256'>): string {
  const { sequence, at, account, keyId, issuer, subject, action, target, reason, before, after } = entry;
  // Earlier entries have no issuer and no subject.
  const token = issuer === null && subject === null ? [] : [issuer, subject];
  const fields = [sequence, at.getTime(), account, keyId, action, target, reason, before, after, ...token];
  return createHash('sha256')
    .update(`${previous}\n${JSON.stringify(fields)}`)
    .digest('hex');
}

/** Checks the chain entry by entry, in order. */
export class AuditVerifier {
  #last: AuditHead = EMPTY_LOG;
  /** Entries that a head was asked for, by sequence. */
  readonly #wanted: ReadonlyMap<number, string>;

  /** `heads`: entries that the log must have, such as one that was written down elsewhere. */
  constructor(heads: readonly AuditHead[] = []) {
    this.#wanted = new Map(heads.map(({ sequence, sha256 }) => [sequence, sha256]));
  }

  get last(): AuditHead {
    return this.#last;
  }

  /** Returns what is wrong with the next entry; null if it continues the chain. Those after it are checked all the same. */
  next(entry: AuditEntry): string | null {
    const { sequence, sha256 } = entry;
    const { sequence: before, sha256: previous } = this.#last;
    this.#last = { sequence, sha256 };
    if (sequence !== before + 1) return `entry ${before + 1} is missing: the next one is ${sequence}`;
    if (sha256 !== digestOf(previous, entry)) return `entry ${sequence} was changed, or the one before it was`;
    const wanted = this.#wanted.get(sequence);
    return wanted === undefined || wanted === sha256
      ? null
      : `entry ${sequence} is not the one with the digest ${wanted}`;
  }

  /** Returns what is missing after the last entry; null if nothing is. `head`: as it is kept beside the log. */
  end(head: AuditHead): string | null {
    const { sequence, sha256 } = this.#last;
    if (head.sequence !== sequence || head.sha256 !== sha256)
      return `the log ends with entry ${sequence}, but its head is entry ${head.sequence}`;
    const beyond = [...this.#wanted.keys()].find((wanted) => wanted > sequence);
    return beyond === undefined ? null : `the log ends with entry ${sequence}, before entry ${beyond}`;
  }
}
