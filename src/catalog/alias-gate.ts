/**
 * Gates of aliases: an alias that has one moves only to versions that have passed it. They are judged before the transaction
 * that moves the alias, which makes sure that all that was judged is still the same.
 */
import type { Transaction } from 'kysely';
import { ConflictError, GateNotPassedError, type GateReason } from '../errors.js';
import { faultPoint } from '../fault-points.js'; // @fault
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import { addGateAttempt } from './alias.queries.js';

type Trx = Transaction<CatalogTables>;

export interface GatedMove {
  readonly modelId: string;
  readonly alias: string;
  readonly versionId: string;
}

export interface GateDecision {
  readonly isPassed: boolean;
  /** Why it is not passed; empty if it is. */
  readonly reasons: readonly GateReason[];
}

/** What a gate decides on: while `key` is the same, it decides the same. */
export interface GateSituation {
  readonly key: string;
  readonly rowsSha256: string;
  judge(): Promise<GateDecision>;
}

/** Null if the alias has no gate, or points to the version already. */
export type FindGateSituation = (db: CatalogDatabase, move: GatedMove) => Promise<GateSituation | null>;

/** How a gate was passed; null if there is none. */
export type Passage = { readonly overridden: readonly GateReason[] | null } | null;

export interface ThroughGate {
  readonly findSituation: FindGateSituation;
  readonly isOverridden: boolean;
  /** As it is named in messages. */
  readonly ref: string;
  readonly change: (trx: Trx, passage: Passage) => Promise<void>;
}

/** Situations may change while they are judged, because somebody moves the alias, sets the gate or evaluates. */
const MAX_JUDGEMENTS = 5;

/** @throws GateNotPassedError, ConflictError if the situation changes too often; as `change` */
export async function moveThroughGate(
  db: CatalogDatabase,
  move: GatedMove,
  { findSituation, isOverridden, ref, change }: ThroughGate,
): Promise<void> {
  for (let judgement = 1; judgement <= MAX_JUDGEMENTS; judgement++) {
    const situation = await findSituation(db, move);
    const decision = situation && (await situation.judge());
    faultPoint('gate.judged'); // @fault
    const result = await db.transaction().execute(async (trx) => {
      if ((await findSituation(trx, move))?.key !== situation?.key) return 'CHANGED';
      // What was refused counts as well.
      const attempts = situation && (await addGateAttempt(trx, { ...move, rowsSha256: situation.rowsSha256 }));
      if (attempts !== null && decision && !decision.isPassed && !isOverridden) return { attempts, decision };
      await change(trx, decision && { overridden: decision.isPassed ? null : decision.reasons });
      return 'MOVED';
    });
    if (result === 'MOVED') return;
    if (result !== 'CHANGED') throw new GateNotPassedError(ref, result.decision.reasons, result.attempts);
  }
  throw new ConflictError(`What the gate of ${ref} judges changes again and again. Nothing was moved. Try again.`);
}
