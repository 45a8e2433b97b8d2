/**
 * Problems as data: the failures a caller can act on, behind one interface, and the one table that makes them from
 * errors. Members added later break no client that reads `code` and `message`.
 */
import { Field, ID, Int, InterfaceType, ObjectType, registerEnumType } from 'type-graphql';
import {
  AppError,
  DeadlineExceededError,
  IdempotencyConflictError,
  InferenceFailedError,
  type InputProblemCode,
  InvalidInputError,
  NotFoundError,
  NotReadyError,
  OverloadedError,
  type ProblemCode,
} from '../errors.js';

const enumOf = <T extends string>(...names: T[]) =>
  Object.fromEntries(names.map((name) => [name, name])) as Record<T, T>;

export const ProblemCodeEnum = enumOf<ProblemCode>(
  'INVALID_INPUT',
  'NOT_FOUND',
  'NOT_READY',
  'OVERLOADED',
  'DEADLINE_EXCEEDED',
  'INFERENCE_FAILED',
  'IDEMPOTENCY_CONFLICT',
  'FORBIDDEN',
  'STORAGE_FULL',
  'SHUTTING_DOWN',
);
registerEnumType(ProblemCodeEnum, {
  name: 'ProblemCode',
  description: 'What kind of failure; each is a row of the table of errors in the README.',
});

export const InputProblemCodeEnum = enumOf<InputProblemCode>(
  'UNKNOWN_NAME',
  'MISSING',
  'WRONG_TYPE',
  'WRONG_SHAPE',
  'OUT_OF_RANGE',
  'NOT_IN_CATEGORIES',
  'NOT_FINITE',
  'EMPTY',
  'TOO_LARGE',
  'UNREADABLE',
  'WRONG_KIND',
);
registerEnumType(InputProblemCodeEnum, {
  name: 'InputProblemCode',
  description: 'What is wrong with one place of an input.',
});

const VersionStateEnum = enumOf('READY', 'FAILED', 'ARCHIVED');

export { VersionStateEnum };

registerEnumType(VersionStateEnum, {
  name: 'VersionState',
  description:
    'READY answers predictions; FAILED could not be imported or proven, see `stateReason`; ARCHIVED is kept for its history.',
});

@InterfaceType({ description: 'A failure that the caller can act on.' })
export abstract class Problem {
  @Field(() => ProblemCodeEnum, { description: 'What kind of failure it is.' })
  code!: ProblemCode;

  @Field({ description: 'What is wrong and what to do, in a sentence.' })
  message!: string;

  @Field({ description: 'May the same request succeed later, unchanged?' })
  retryable!: boolean;

  @Field(() => Int, { nullable: true, description: 'Milliseconds to wait before trying again, where that is known.' })
  retryAfterMs!: number | null;

  constructor(error: AppError) {
    this.code = error.code;
    this.message = error.message;
    this.retryable = error.retryable;
    this.retryAfterMs = error.retryAfterMs;
  }
}

@ObjectType({ description: 'One thing that is wrong with an input.' })
export class InputProblem {
  @Field(() => [String], { description: 'Where, from the root input object: ["input", "row", "mean radius"].' })
  path!: string[];

  @Field(() => InputProblemCodeEnum, { description: 'What kind of mistake it is.' })
  code!: InputProblemCode;

  @Field({ description: 'What is wrong, in words.' })
  message!: string;

  @Field(() => String, { nullable: true, description: 'What would be accepted; null where the message says it.' })
  expected!: string | null;

  @Field(() => String, { nullable: true, description: 'What was sent, shortened; null where nothing was.' })
  received!: string | null;
}

@ObjectType({ implements: Problem, description: 'The input is not what the model reads. Nothing was run.' })
export class InvalidInput extends Problem {
  @Field(() => [InputProblem], { description: 'At most 20.' })
  problems!: InputProblem[];

  constructor(error: InvalidInputError) {
    super(error);
    this.problems = error.problems.map((problem) => ({ ...problem, path: [...problem.path] }));
  }
}

@ObjectType({ implements: Problem, description: 'No such thing, or you may not see it.' })
export class NotFound extends Problem {
  @Field(() => [String], { description: 'Names that look alike, of things you may see.' })
  didYouMean!: string[];

  constructor(error: NotFoundError) {
    super(error);
    this.didYouMean = [...error.didYouMean];
  }
}

@ObjectType({ implements: Problem, description: 'The version exists but answers no predictions.' })
export class NotReady extends Problem {
  @Field(() => VersionStateEnum, { description: 'The state that the version is in.' })
  state!: string;

  constructor(error: NotReadyError) {
    super(error);
    this.state = error.state;
  }
}

@ObjectType({ implements: Problem, description: 'Too much waits already; nothing was run.' })
export class Overloaded extends Problem {
  @Field(() => Int, { description: 'Inputs that wait for this version.' })
  queueDepth!: number;

  constructor(error: OverloadedError) {
    super(error);
    this.queueDepth = error.queueDepth;
  }
}

@ObjectType({ implements: Problem, description: 'The time was up before the answer was there.' })
export class DeadlineExceeded extends Problem {
  @Field({ description: 'Where it was spent: "queue", "run" or "record".' })
  phase!: string;

  constructor(error: DeadlineExceededError) {
    super(error);
    this.phase = error.phase;
  }
}

@ObjectType({
  implements: Problem,
  description: 'The model failed on this input, or answered something that is no answer.',
})
export class InferenceFailed extends Problem {
  @Field({ description: 'What the model or its runtime said.' })
  reason!: string;

  constructor(error: InferenceFailedError) {
    super(error);
    this.reason = error.reason;
  }
}

@ObjectType({ implements: Problem, description: 'The idempotency key belongs to another request.' })
export class IdempotencyConflict extends Problem {
  @Field(() => ID, { description: 'The prediction that the key belongs to.' })
  earlier!: string;

  constructor(error: IdempotencyConflictError) {
    super(error);
    this.earlier = error.earlierPredictionId;
  }
}

@ObjectType({ implements: Problem, description: 'You may see it, but not do this.' })
export class Forbidden extends Problem {}

@ObjectType({ implements: Problem, description: 'The answer could not be recorded, so it was withheld.' })
export class StorageFull extends Problem {}

@ObjectType({ implements: Problem, description: 'The server is stopping.' })
export class ShuttingDown extends Problem {}

/** The whole mapping. A new error class is one line here, and the compiler asks for it. */
export function problemOf(error: AppError): Problem {
  if (error instanceof InvalidInputError) return new InvalidInput(error);
  if (error instanceof NotFoundError) return new NotFound(error);
  if (error instanceof NotReadyError) return new NotReady(error);
  if (error instanceof OverloadedError) return new Overloaded(error);
  if (error instanceof DeadlineExceededError) return new DeadlineExceeded(error);
  if (error instanceof InferenceFailedError) return new InferenceFailed(error);
  if (error instanceof IdempotencyConflictError) return new IdempotencyConflict(error);
  if (error.code === 'FORBIDDEN') return new Forbidden(error);
  if (error.code === 'STORAGE_FULL') return new StorageFull(error);
  return new ShuttingDown(error);
}

/** The types to list in the schema: no field names them, they only appear behind the interface. */
export const PROBLEM_TYPES = [
  InvalidInput,
  NotFound,
  NotReady,
  Overloaded,
  DeadlineExceeded,
  InferenceFailed,
  IdempotencyConflict,
  Forbidden,
  StorageFull,
  ShuttingDown,
] as const;

/** What a mutation answers: the result of `work`, or the problem it met. Anything else is a bug and rises. */
export async function payloadOf<T>(work: () => Promise<T>): Promise<{ result: T | null; problem: Problem | null }> {
  try {
    return { result: await work(), problem: null };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { result: null, problem: problemOf(error) };
  }
}
