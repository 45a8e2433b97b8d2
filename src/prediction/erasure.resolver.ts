import { Arg, Ctx, ID, Mutation, Resolver } from 'type-graphql';
import { Policy } from '../access/policy.js';
import type { Principal } from '../access/principal.js';
import { checkReason, REASON } from '../access/reason.js';
import { Cost } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { payloadOf } from '../graphql/problem.type.js';
import { checkDeletion, checkErasure, MAX_DELETED } from './check-erasure.js';
import { ErasePredictionsInput } from './erasure.input.js';
import type { StoredErasure } from './erasure.queries.js';
import { Erasure, ErasurePayload } from './erasure.type.js';
import type { Erasures } from './erasures.js';

/** Each writes, syncs and empties the logs of three files. */
const POINTS_PER_ERASURE = 1_000;

interface Context {
  readonly principal: Principal;
}

@Resolver()
export class ErasureResolver {
  constructor(private readonly erasures: Erasures) {}

  @Policy('operate')
  @Cost({ points: POINTS_PER_ERASURE })
  @Mutation(() => ErasurePayload, {
    nullable: true,
    description:
      'Erases predictions with their inputs, answers, outcomes and idempotency keys, and destroys the keys that they were encrypted with, so that copies in backups cannot be read either. Keys are of days in UTC: those of a day that is only partly in the range of time are kept, see `leftInBackups`. Returns when everything is erased; if the server stops first, the erasure goes on when it starts again. What is recorded later is not erased. Null only with an entry in `errors`. Problems: InvalidInput, Forbidden, StorageFull.',
  })
  async erasePredictions(
    @Arg('input', () => ErasePredictionsInput, { description: 'Which predictions to erase.' })
    input: ErasePredictionsInput,
    @Ctx() { principal }: Context,
  ): Promise<ErasurePayload> {
    const { result, problem } = await payloadOf(async () => {
      const reason = checkReason(input.reason, ['input', 'reason']);
      return this.erasures.erase(checkErasure(input, principal), { principal, action: 'erasePredictions', reason });
    });
    return { erasure: result && typeOf(result), problem };
  }

  @Policy('history')
  @Cost({ points: POINTS_PER_ERASURE })
  @Mutation(() => ErasurePayload, {
    nullable: true,
    description: `Deletes predictions of yours, with their inputs, answers, outcomes and idempotency keys. Ids that do not exist or are not yours are ignored. Copies in backups can be read until the retention of the predictions has passed. Null only with an entry in \`errors\`. Problems: InvalidInput, Forbidden, StorageFull.`,
  })
  async deletePredictions(
    @Arg('ids', () => [ID], { description: `Ids of the predictions, 1 to ${MAX_DELETED}.` }) ids: string[],
    @Arg('reason', () => String, { nullable: true, description: REASON }) reason: string | null,
    @Ctx() { principal }: Context,
  ): Promise<ErasurePayload> {
    const { result, problem } = await payloadOf(async () => {
      const by = { principal, action: 'deletePredictions', reason: checkReason(reason, ['reason']) } as const;
      return this.erasures.erase(checkDeletion(ids, principal), by);
    });
    return { erasure: result && typeOf(result), problem };
  }
}

const MAX_INT = 2 ** 31 - 1;

function typeOf({ id, deleted, left_in_backups, requested_at, finished_at }: StoredErasure): Erasure {
  return create(Erasure, {
    id,
    deleted: Math.min(deleted, MAX_INT),
    leftInBackups: Math.min(left_in_backups, MAX_INT),
    requestedAt: new Date(requested_at),
    finishedAt: finished_at === null ? null : new Date(finished_at),
  });
}
