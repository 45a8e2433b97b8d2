/**
 * Problems as data: failures that a client can act on, behind one interface, and the mapping from errors to problems.
 * New problem types do not break clients that read only `code` and `message`.
 */
import { Field, Float, ID, Int, InterfaceType, ObjectType } from 'type-graphql';
import { refusals } from '../counting/refusals.js';
import {
  AppError,
  type DeadlineExceededError,
  type GateNotPassedError,
  type GateReasonCode,
  type IdempotencyConflictError,
  type InferenceFailedError,
  type InputProblemCode,
  type InvalidInputError,
  type NotFoundError,
  type NotReadyError,
  type OverloadedError,
  type ProblemCode,
  type QuotaExceededError,
  type QuotaName,
} from '../errors.js';
import { enumOf } from './enum.type.js';
import { VersionStateEnum } from './version-state.type.js';

export const ProblemCodeEnum = enumOf<ProblemCode>('ProblemCode', 'Kind of failure that a client can act on.', {
  INVALID_INPUT:
    "The input does not match the version's signature. Correct the mistakes listed in `InvalidInput.problems`.",
  NOT_FOUND:
    'The object does not exist, or you may not see it. Check the name; `NotFound.didYouMean` has similar ones.',
  NOT_READY: 'The version exists but runs no predictions. Use another version, or retry if `retryable` is true.',
  OVERLOADED: 'The queue is full, or the wait would exceed your deadline. Retry after `retryAfterMs`.',
  DEADLINE_EXCEEDED: 'The deadline passed before the answer was ready. Retry, or send a larger `deadlineMs`.',
  INFERENCE_FAILED: 'The model failed on this input. Retry only if `retryable` is true.',
  IDEMPOTENCY_CONFLICT: 'The idempotency key was used for another request in the last 24 hours. Send a new key.',
  CONFLICT: 'Somebody else changed the object meanwhile. Read it again, and decide whether to repeat the change.',
  GATE_NOT_PASSED:
    'The version has not passed the gate of the alias. See `GateNotPassed.reasons`: evaluate it, or choose another version.',
  FORBIDDEN: 'You may see the object but not perform this operation.',
  QUOTA_EXCEEDED: 'A quota of your key is used up. Retry after `retryAfterMs`.',
  STORAGE_FULL:
    'The server cannot write to its disk, so it withheld the result. Retry with the same idempotency key, or send `record: false`.',
  SHUTTING_DOWN: 'The server is shutting down. Retry after `retryAfterMs`.',
});

const InputProblemCodeEnum = enumOf<InputProblemCode>('InputProblemCode', 'Kind of mistake in an input.', {
  UNKNOWN_NAME: 'The name is unknown, such as a column that the version does not have.',
  MISSING: 'A required value is missing or null.',
  WRONG_TYPE: 'The value has the wrong type.',
  WRONG_SHAPE: 'The tensor has the wrong shape or the wrong number of values.',
  OUT_OF_RANGE: 'The number is below the minimum or above the maximum.',
  NOT_IN_CATEGORIES: "The text is not one of the column's categories.",
  NOT_FINITE: 'The number is NaN or infinite.',
  EMPTY: 'The text, list, image or tensor is empty.',
  TOO_LARGE: 'The text, list or image exceeds a size limit.',
  UNREADABLE: 'The value cannot be decoded or parsed.',
  WRONG_KIND: 'The value, or its combination with another value, is not accepted here.',
});

const QuotaNameEnum = enumOf<QuotaName>('QuotaName', 'What the holder of a key may use, in a second or in a day.', {
  OPERATIONS_PER_SECOND: 'Root fields per second.',
  OPERATIONS_PER_DAY: 'Root fields per day, from 00:00 UTC.',
  COMPUTE_MS_PER_SECOND: 'Milliseconds of computing per second.',
  COMPUTE_MS_PER_DAY: 'Milliseconds of computing per day, from 00:00 UTC.',
  BYTES_PER_SECOND: 'Bytes of request bodies and answers per second.',
  BYTES_PER_DAY: 'Bytes of request bodies and answers per day, from 00:00 UTC.',
});

@InterfaceType({ description: 'Failure that the client can act on.' })
export abstract class Problem {
  @Field(() => ProblemCodeEnum, { description: 'Kind of failure.' })
  code!: ProblemCode;

  @Field({ description: 'What is wrong and what to do about it, in English.' })
  message!: string;

  @Field({ description: 'Whether the same request may succeed later, unchanged.' })
  retryable!: boolean;

  @Field(() => Int, { nullable: true, description: 'Milliseconds to wait before retrying; null if unknown.' })
  retryAfterMs!: number | null;

  constructor(error: AppError) {
    this.code = error.code;
    this.message = error.message;
    this.retryable = error.retryable;
    this.retryAfterMs = error.retryAfterMs;
  }
}

@ObjectType({ description: 'One mistake in an input.' })
export class InputProblem {
  @Field(() => [String], {
    description:
      'Path of the mistake, starting at the argument of the mutation, such as `["input", "input", "row", "mean radius"]`.',
  })
  path!: string[];

  @Field(() => InputProblemCodeEnum, { description: 'Kind of mistake.' })
  code!: InputProblemCode;

  @Field({ description: 'What is wrong, in English.' })
  message!: string;

  @Field(() => String, { nullable: true, description: 'What is accepted instead; null if `message` says it.' })
  expected!: string | null;

  @Field(() => String, { nullable: true, description: 'What was sent, shortened; null if nothing was sent.' })
  received!: string | null;
}

@ObjectType({
  implements: Problem,
  description: "The input does not match the version's signature. The model was not run.",
})
export class InvalidInput extends Problem {
  @Field(() => [InputProblem], { description: 'Mistakes that were found, at most 20.' })
  problems!: InputProblem[];

  constructor(error: InvalidInputError) {
    super(error);
    this.problems = error.problems.map((problem) => ({ ...problem, path: [...problem.path] }));
  }
}

@ObjectType({ implements: Problem, description: 'The object does not exist, or you may not see it.' })
export class NotFound extends Problem {
  @Field(() => [String], {
    description: 'Similar names or references that you may use instead, best match first; empty if there are none.',
  })
  didYouMean!: string[];

  constructor(error: NotFoundError) {
    super(error);
    this.didYouMean = [...error.didYouMean];
  }
}

@ObjectType({ implements: Problem, description: 'The version exists but runs no predictions.' })
export class NotReady extends Problem {
  @Field(() => VersionStateEnum, {
    description:
      'State of the version. Also FAILED while a READY version is out of service because its own example crashes it.',
  })
  state!: string;

  constructor(error: NotReadyError) {
    super(error);
    this.state = error.state;
  }
}

@ObjectType({
  implements: Problem,
  description: 'The queue is full, or the wait would exceed the deadline. The model was not run.',
})
export class Overloaded extends Problem {
  @Field(() => Int, { description: 'Number of inputs waiting for this version.' })
  queueDepth!: number;

  constructor(error: OverloadedError) {
    super(error);
    this.queueDepth = error.queueDepth;
  }
}

@ObjectType({ implements: Problem, description: 'The deadline passed before the answer was ready.' })
export class DeadlineExceeded extends Problem {
  @Field({
    description:
      'Phase in which time ran out: "queue" (waiting for a worker), "run" (in a worker) or "record" (storing the answer).',
  })
  phase!: string;

  constructor(error: DeadlineExceededError) {
    super(error);
    this.phase = error.phase;
  }
}

@ObjectType({
  implements: Problem,
  description: 'The model failed on this input, or returned unusable outputs such as NaN.',
})
export class InferenceFailed extends Problem {
  @Field({ description: 'What went wrong, as reported by the model or its runtime.' })
  reason!: string;

  constructor(error: InferenceFailedError) {
    super(error);
    this.reason = error.reason;
  }
}

@ObjectType({
  implements: Problem,
  description: 'The idempotency key was used for another request in the last 24 hours.',
})
export class IdempotencyConflict extends Problem {
  @Field(() => ID, { description: 'Id of the prediction that was made with this key.' })
  earlier!: string;

  constructor(error: IdempotencyConflictError) {
    super(error);
    this.earlier = error.earlierPredictionId;
  }
}

@ObjectType({ implements: Problem, description: 'Somebody else changed the object meanwhile. Nothing was done.' })
export class Conflict extends Problem {}

const GateReasonCodeEnum = enumOf<GateReasonCode>(
  'GateReasonCode',
  'Kind of reason why a version has not passed a gate.',
  {
    NOT_EVALUATED: 'This server has not evaluated the version on the rows of the gate. Call `evaluate`.',
    OTHER_ROWS:
      'The evaluations of the version are of other rows, because the dataset has changed since they were computed, or since the gate was set. Set the gate again if it is older than the change, and call `evaluate`.',
    ON_TRAINING_DATA: 'The version was trained on the rows of the gate.',
    THRESHOLD_MISSED: 'A metric does not reach its threshold.',
    METRIC_UNDEFINED: 'The evaluation does not have the metric, or it is undefined.',
    MAY_BE_WORSE: 'It was not shown that the version is worse than the present one by at most the margin.',
    HOLDER_NOT_EVALUATED: 'This server has not evaluated the present version on the rows of the gate. Call `evaluate`.',
    HOLDER_ON_TRAINING_DATA: 'The present version was trained on the rows of the gate, and cannot be compared with.',
    NOT_COMPARED: 'The versions could not be compared.',
  },
);

@ObjectType({ description: 'Why a version has not passed a gate.' })
export class GateReason {
  @Field(() => GateReasonCodeEnum, { description: 'Kind of reason.' })
  code!: GateReasonCode;

  @Field({ description: 'What is missing, with the numbers, in English.' })
  message!: string;
}

@ObjectType({
  implements: Problem,
  description: 'The version has not passed the gate of the alias. Nothing was moved.',
})
export class GateNotPassed extends Problem {
  @Field(() => [GateReason], { description: 'Everything that is missing.' })
  reasons!: readonly GateReason[];

  @Field(() => Int, {
    description:
      'How often versions were judged on these rows, this time included: the more, the likelier one passes by chance.',
  })
  attempts!: number;

  constructor(error: GateNotPassedError) {
    super(error);
    this.reasons = error.reasons;
    this.attempts = error.attempts;
  }
}

@ObjectType({ implements: Problem, description: 'You may see the object but not perform this operation.' })
export class Forbidden extends Problem {}

@ObjectType({
  implements: Problem,
  description: 'A quota of the key is used up. Nothing was run.',
})
export class QuotaExceeded extends Problem {
  @Field(() => QuotaNameEnum, { description: 'The quota.' })
  quota!: QuotaName;

  @Field(() => Float, { description: 'What the quota allows, in operations, milliseconds or bytes.' })
  limit!: number;

  @Field(() => Float, {
    description: 'What was used of it, in the last second or since 00:00 UTC, in the same unit. May exceed `limit`.',
  })
  used!: number;

  constructor(error: QuotaExceededError) {
    super(error);
    this.quota = error.quota;
    this.limit = error.limit;
    this.used = error.used;
  }
}

@ObjectType({
  implements: Problem,
  description: 'The server cannot write to its disk, so it withheld the result.',
})
export class StorageFull extends Problem {}

@ObjectType({ implements: Problem, description: 'The server is shutting down and accepts no more predictions.' })
export class ShuttingDown extends Problem {}

/** The type for each code. A code without a type is a compile error. */
const TYPES = {
  INVALID_INPUT: InvalidInput,
  NOT_FOUND: NotFound,
  NOT_READY: NotReady,
  OVERLOADED: Overloaded,
  DEADLINE_EXCEEDED: DeadlineExceeded,
  INFERENCE_FAILED: InferenceFailed,
  IDEMPOTENCY_CONFLICT: IdempotencyConflict,
  CONFLICT: Conflict,
  GATE_NOT_PASSED: GateNotPassed,
  FORBIDDEN: Forbidden,
  QUOTA_EXCEEDED: QuotaExceeded,
  STORAGE_FULL: StorageFull,
  SHUTTING_DOWN: ShuttingDown,
} satisfies Record<ProblemCode, new (error: never) => Problem>;

/** Types to add to the schema explicitly: no field returns them by name, only through the interface. */
export const PROBLEM_TYPES = Object.values(TYPES);

/** The problem that a client gets for an error; it is counted. */
export function problemOf(error: AppError): Problem {
  refusals.add(error.code);
  const Type = TYPES[error.code] as new (error: AppError) => Problem;
  return new Type(error);
}

/** The result of `work`, or the problem for the AppError it throws. Other errors are bugs and are rethrown. */
export async function payloadOf<T>(work: () => Promise<T>): Promise<{ result: T | null; problem: Problem | null }> {
  try {
    return { result: await work(), problem: null };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { result: null, problem: problemOf(error) };
  }
}
