import { Arg, Ctx, FieldResolver, Mutation, Resolver, Root } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { Dataset } from '../catalog/dataset.type.js';
import { Model } from '../catalog/model.type.js';
import { Version } from '../catalog/version.type.js';
import { Cost, POINTS_PER_CHANGE } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { payloadOf } from '../graphql/problem.type.js';
import type { CatalogDatabase } from '../storage/database.js';
import { keyOf, POINTS_PER_COMPARISON } from './comparison.resolver.js';
import { Evaluation } from './evaluation.type.js';
import type { StoredGate } from './gate.queries.js';
import {
  Gate,
  GateCheck,
  GateCondition,
  GateVerdict,
  RemoveGateInput,
  RemoveGatePayload,
  SetGateInput,
  SetGatePayload,
} from './gate.type.js';
import type { Gates, GateVerdict as Verdict } from './gates.js';
import type { EvaluationContext } from './loaders.js';
import { MAX_GATES, removeGate, setGate } from './new-gate.js';

@Resolver(() => Gate)
export class GateResolver {
  constructor(
    private readonly db: CatalogDatabase,
    private readonly gates: Gates,
  ) {}

  @Policy('publish')
  @Cost({ points: POINTS_PER_CHANGE })
  @Mutation(() => SetGatePayload, {
    nullable: true,
    description: `Sets what a version must have shown before \`setAlias\` points an alias to it: metrics of its evaluation by this server on the rows that the dataset has now. The version that the alias points to stays. From then on, only administrators move the alias, since \`publish\` refuses it. For a model of your account; administrators do so with any. A model has at most ${MAX_GATES} gates. Problems: InvalidInput, NotFound, Overloaded (too many gates), Forbidden, StorageFull.`,
  })
  async setGate(
    @Arg('input', () => SetGateInput, { description: 'The gate.' }) input: SetGateInput,
    @Ctx() context: EvaluationContext,
  ): Promise<SetGatePayload> {
    const { result, problem } = await payloadOf(async () => {
      const { alias, reason } = input;
      const model = await context.catalogLoaders.getModel(input.model);
      const dataset = await context.catalogLoaders.getDataset(input.dataset);
      const conditions = input.conditions.map((condition) => ({
        ...keyOf(condition),
        threshold: condition.threshold ?? null,
        margin: condition.margin ?? null,
      }));
      await setGate(this.db, { model, alias, datasetId: dataset.id, conditions, reason }, context.principal);
      const found = await context.evaluationLoaders.gates.clear(model.id).load(model.id);
      return typeOf(found.find((gate) => gate.alias === alias) as StoredGate);
    });
    return { gate: result, problem };
  }

  @Policy('publish')
  @Cost({ points: POINTS_PER_CHANGE })
  @Mutation(() => RemoveGatePayload, {
    nullable: true,
    description:
      'Removes the gate of an alias of a model of your account; administrators remove any. Its attempts are remembered for a later gate on the same rows. Problems: InvalidInput, NotFound, Forbidden, StorageFull.',
  })
  async removeGate(
    @Arg('input', () => RemoveGateInput, { description: 'The gate.' }) input: RemoveGateInput,
    @Ctx() context: EvaluationContext,
  ): Promise<RemoveGatePayload> {
    const { result, problem } = await payloadOf(async () => {
      const { alias, reason } = input;
      const model = await context.catalogLoaders.getModel(input.model);
      await removeGate(this.db, { model, alias, reason }, context.principal);
      context.evaluationLoaders.gates.clear(model.id);
      return alias;
    });
    return { alias: result, problem };
  }

  @FieldResolver(() => Dataset, {
    nullable: true,
    description: 'Dataset of the gate; null if it was deleted, or you may not see it.',
  })
  dataset(@Root() { datasetId }: Gate, @Ctx() { catalogLoaders }: EvaluationContext): Promise<Dataset | null> {
    return catalogLoaders.dataset.load(datasetId);
  }

  @Cost({ points: POINTS_PER_CHANGE })
  @FieldResolver(() => GateVerdict, {
    nullable: true,
    description:
      'Whether the version that the alias points to meets the thresholds of the gate; null if it points to none, or if `dataset` is null.',
  })
  async verdict(@Root() { modelId, datasetId, alias }: Gate, @Ctx() context: EvaluationContext) {
    const aliases = await context.catalogLoaders.aliasesOfModel.load(modelId);
    const holder = aliases.find(({ name }) => name === alias);
    if (!holder || !(await context.catalogLoaders.dataset.load(datasetId))) return null;
    return verdictType(
      await this.gates.verdictOf({ modelId, alias, versionId: holder.versionId }, context.principal.id),
    );
  }
}

@Resolver(() => GateVerdict)
export class GateVerdictResolver {
  @FieldResolver(() => Evaluation, {
    nullable: true,
    description: 'Evaluation of the version that was judged; null if there is none.',
  })
  evaluation(
    @Root() { evaluationId }: GateVerdict,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Promise<Evaluation | null> | null {
    return evaluationId === null ? null : evaluationLoaders.evaluation.load(evaluationId);
  }

  @FieldResolver(() => Version, {
    nullable: true,
    description: 'Version that the alias points to now; null if there is none, or if it is the version itself.',
  })
  comparedWith(
    @Root() { holderId }: GateVerdict,
    @Ctx() { catalogLoaders }: EvaluationContext,
  ): Promise<Version | null> | null {
    return holderId === null ? null : catalogLoaders.version.load(holderId);
  }
}

@Resolver(() => Model)
export class ModelGatesResolver {
  @Cost({ elements: MAX_GATES })
  @FieldResolver(() => [Gate], { description: 'Gates of the aliases of the model, in order of the aliases.' })
  async gates(@Root() { id }: Model, @Ctx() { evaluationLoaders }: EvaluationContext): Promise<Gate[]> {
    return (await evaluationLoaders.gates.load(id)).map(typeOf);
  }
}

@Resolver(() => Version)
export class VersionGateResolver {
  constructor(private readonly gates: Gates) {}

  @Cost({ points: POINTS_PER_COMPARISON })
  @FieldResolver(() => GateVerdict, {
    nullable: true,
    description:
      'Whether this version passes the gate of an alias of its model, compared with the version that the alias points to now. Does not count as an attempt. Null if the alias has no gate, or if its dataset was deleted or you may not see it.',
  })
  async gate(
    @Root() { id, modelId }: Version,
    @Arg('alias', () => String, { description: 'Name of the alias.' }) alias: string,
    @Ctx() { principal, catalogLoaders, evaluationLoaders }: EvaluationContext,
  ): Promise<GateVerdict | null> {
    const gate = (await evaluationLoaders.gates.load(modelId)).find((one) => one.alias === alias);
    if (!gate || !(await catalogLoaders.dataset.load(gate.datasetId))) return null;
    return verdictType(await this.gates.verdictOf({ modelId, alias, versionId: id }, principal.id));
  }
}

function typeOf({ conditions, datasetName: _, ...gate }: StoredGate): Gate {
  return create(Gate, { ...gate, conditions: conditions.map((condition) => create(GateCondition, condition)) });
}

function verdictType(verdict: Verdict | null): GateVerdict | null {
  if (verdict === null) return null;
  const checks = verdict.checks.map(({ reasons: _, ...check }) => create(GateCheck, check));
  return create(GateVerdict, { ...verdict, checks });
}
