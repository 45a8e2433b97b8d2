import { Field, Int, ObjectType } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { enumOf } from '../graphql/enum.type.js';
import { Problem } from '../graphql/problem.type.js';
import { SafeInt } from '../graphql/scalars.js';

const ServingState = enumOf('ServingState', 'Whether a version is loaded into workers.', {
  COLD: 'Not loaded. The first prediction loads the version and takes longer.',
  LOADING: 'Being loaded into a worker.',
  WARM: 'Loaded into at least one worker.',
  FAILED: 'The last attempt to load it failed, for example because it does not fit into the memory of a worker.',
});

@ObjectType({ description: 'How long a worker takes for batches of one size.' })
export class LatencyPoint {
  @Field(() => Int, { description: 'Number of inputs in the batch.' })
  batchSize!: number;

  @Field({ description: 'Median time in the worker, in milliseconds: preprocessing, run and postprocessing.' })
  p50Ms!: number;

  @Field({ description: '95th percentile of the time in the worker, in milliseconds.' })
  p95Ms!: number;

  @Field({ description: 'Inputs that one worker answers per second if it runs one such batch after the other.' })
  itemsPerSecond!: number;
}

@ObjectType('Serving', { description: 'Current load and memory state of a version.' })
export class ServingStatus {
  @Field(() => ServingState, { description: 'Whether the version is loaded.' })
  servingState!: keyof typeof ServingState;

  @Field(() => Int, { description: 'Number of workers that have the version loaded.' })
  replicas!: number;

  @Field(() => String, {
    nullable: true,
    description:
      'Execution provider that runs the version, such as "cpu" or "cuda"; null unless `servingState` is WARM.',
  })
  executionProvider!: string | null;

  @Field(() => SafeInt, {
    nullable: true,
    description:
      'Memory in bytes that all loaded copies take, as measured when they were loaded; null if none is loaded.',
  })
  residentBytes!: number | null;

  @Field(() => Int, { description: 'Number of inputs waiting for the version.' })
  queueDepth!: number;

  @Field(() => Int, { description: 'Maximum number of inputs per batch; 1 if the version is not batch-invariant.' })
  maxBatch!: number;

  @Field({ description: 'Why `maxBatch` has this value, according to the batch-invariance check at import.' })
  maxBatchReason!: string;

  /** Not in the schema: `latency` and `bestBatchSize` are resolved from it. */
  versionId!: string;
}

@ObjectType({
  description: 'State of the version after it was loaded or released, or the problem.',
})
export class ServingPayload {
  @Field(() => ServingStatus, { nullable: true, description: 'State of the version; null if there is a problem.' })
  serving!: ServingStatus | null;

  @Field(() => Problem, { nullable: true, description: 'Why the version was not loaded or released; null if it was.' })
  problem!: Problem | null;
}

const WorkerState = enumOf('WorkerState', 'What a worker is doing.', {
  STARTING: 'The process is starting and takes no work yet.',
  READY: 'The worker is idle.',
  BUSY: 'The worker is running a batch.',
  QUARANTINE: 'The worker is reserved for inputs whose batch crashed or never finished; it runs them one at a time.',
  STOPPING: 'The process is ending and takes no more work.',
});

@Policy('operate')
@ObjectType('Worker', { description: 'Process that runs models. Operators only.' })
export class WorkerStatus {
  @Field(() => Int, { description: 'Process id of the operating system.' })
  pid!: number;

  @Field(() => WorkerState, { description: 'What the worker is doing.' })
  state!: keyof typeof WorkerState;

  @Field({
    description:
      'Execution provider that the worker uses, such as "cpu" or "cuda". Versions that only the CPU can run are run there; `Version.serving.executionProvider` says so.',
  })
  executionProvider!: string;

  @Field(() => String, {
    nullable: true,
    description:
      'Name of the CPU or GPU that the provider uses, such as "NVIDIA L4 (GPU 1)" if there are several; null if it is unknown, as with WebGPU.',
  })
  device!: string | null;

  @Field(() => SafeInt, { description: 'Resident memory of the process, in bytes; 0 if unknown.' })
  residentBytes!: number;

  @Field(() => Int, { description: 'Number of times that the process in this slot was replaced.' })
  restarts!: number;

  /** Not in the schema: `loadedVersions` is resolved from it. */
  versionIds!: string[];
}

@Policy('operate')
@ObjectType('ProviderProbe', {
  description: 'Result of trying an execution provider at startup.',
})
export class ProviderProbeType {
  @Field({ description: 'Name of the execution provider: "cuda", "webgpu" or "cpu".' })
  name!: string;

  @Field({ description: 'Whether the provider can be used.' })
  available!: boolean;

  @Field(() => String, { nullable: true, description: 'Why the provider cannot be used; null if it can.' })
  reason!: string | null;
}

@Policy('operate')
@ObjectType('Engine', { description: 'State of the inference engine. Operators only.' })
export class EngineStatus {
  @Field(() => [WorkerStatus], { description: 'All workers, including the warm spare and the quarantine worker.' })
  workers!: WorkerStatus[];

  @Field(() => [ProviderProbeType], {
    description: 'Execution providers tried at startup, in order of preference. The first available one is used.',
  })
  providers!: ProviderProbeType[];

  @Field(() => SafeInt, {
    nullable: true,
    description:
      'Limit on the data memory of all workers together, in bytes; null if the platform cannot limit memory.',
  })
  memoryBudgetBytes!: number | null;

  @Field(() => Int, { description: 'Number of waiting inputs, over all versions.' })
  queueDepth!: number;
}
