import { Field, Int, ObjectType, registerEnumType } from 'type-graphql';
import { SafeInt } from '../graphql/scalars.js';

const ServingState = { COLD: 'COLD', LOADING: 'LOADING', WARM: 'WARM' } as const;
registerEnumType(ServingState, {
  name: 'ServingState',
  description: 'COLD: loaded on its first use; LOADING: on its way into a worker; WARM: answers at once.',
});

@ObjectType('Serving', { simpleResolvers: true, description: 'What is in memory of a version now.' })
export class ServingStatus {
  @Field(() => ServingState, { description: 'Is it in memory?' })
  servingState!: keyof typeof ServingState;

  @Field(() => Int, { description: 'Workers that have it loaded.' })
  replicas!: number;

  @Field(() => String, { nullable: true, description: 'Null while it is loaded nowhere.' })
  executionProvider!: string | null;

  @Field(() => Int, { description: 'Inputs that wait for it.' })
  queueDepth!: number;

  @Field(() => Int, { description: 'Inputs that may share one run.' })
  maxBatch!: number;

  @Field({ description: 'Why that many: what its golden cases showed at import.' })
  maxBatchReason!: string;
}

const WorkerState = {
  STARTING: 'STARTING',
  READY: 'READY',
  BUSY: 'BUSY',
  QUARANTINE: 'QUARANTINE',
  STOPPING: 'STOPPING',
} as const;
registerEnumType(WorkerState, {
  name: 'WorkerState',
  description: 'QUARANTINE: reserved for inputs whose batch crashed or did not end.',
});

@ObjectType('Worker', { simpleResolvers: true, description: 'An inference process. For operators.' })
export class WorkerStatus {
  @Field(() => Int, { description: 'Number of the process.' })
  pid!: number;

  @Field(() => WorkerState, { description: 'What it is doing.' })
  state!: keyof typeof WorkerState;

  @Field({ description: 'The provider it runs on.' })
  executionProvider!: string;

  @Field(() => String, { nullable: true, description: 'The accelerator, as its provider names it.' })
  device!: string | null;

  @Field(() => SafeInt, { description: 'Memory it has in RAM now.' })
  residentBytes!: number;

  @Field(() => Int, { description: 'How often the process in this slot was replaced.' })
  restarts!: number;

  /** Not a field: `loadedVersions` is resolved from it. */
  versionIds!: string[];
}

@ObjectType('ProviderProbe', { simpleResolvers: true, description: 'What came of trying an execution provider.' })
export class ProviderProbeType {
  @Field({ description: '"cuda", "webgpu" or "cpu".' })
  name!: string;

  @Field({ description: 'Could it be used?' })
  available!: boolean;

  @Field(() => String, { nullable: true, description: 'Why it was not taken; null where it was.' })
  reason!: string | null;
}

@ObjectType('Engine', { simpleResolvers: true, description: 'The inference engine, for operators.' })
export class EngineStatus {
  @Field(() => [WorkerStatus], { description: 'All inference processes, the spare and the quarantine included.' })
  workers!: WorkerStatus[];

  @Field(() => [ProviderProbeType], {
    description: 'Providers tried at start, in order, each with why it was not taken.',
  })
  providers!: ProviderProbeType[];

  @Field(() => SafeInt, {
    nullable: true,
    description: 'Data memory that all workers together may take; null where it cannot be limited.',
  })
  memoryBudgetBytes!: number | null;

  @Field(() => Int, { description: 'Inputs that wait, over all versions.' })
  queueDepth!: number;
}
