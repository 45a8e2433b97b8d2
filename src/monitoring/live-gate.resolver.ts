import { Arg, Ctx, FieldResolver, Int, Resolver, Root } from 'type-graphql';
import { mayReadPredictionsOf } from '../access/grants.js';
import { Policy } from '../access/policy.js';
import { Model } from '../catalog/model.type.js';
import { Version } from '../catalog/version.type.js';
import type { EvaluationContext } from '../evaluation/loaders.js';
import { checkRange } from '../graphql/check-range.js';
import { Cost } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import type { Live } from './live.js';
import { LIVE_POINTS, MAX_WINDOW_DAYS, WINDOW_DAYS } from './live.resolver.js';
import { liveChecks } from './live-gate.js';
import { LiveGate, LiveGateCheck } from './live-gate.type.js';

@Resolver(() => Model)
export class ModelLiveGateResolver {
  constructor(private readonly measured: Live) {}

  @Policy('history')
  @Cost({ points: LIVE_POINTS })
  @FieldResolver(() => LiveGate, {
    nullable: true,
    description: `Whether the version that an alias points to still meets the thresholds of the gate of the alias, by the outcomes of its recorded predictions: of your account; for administrators, of all accounts. Margins are not checked. Costs ${LIVE_POINTS.toLocaleString('en')} points. Null if the alias has no gate or points to no version, or if \`Version.live\` is null.`,
  })
  async liveGate(
    @Root() { id }: Model,
    @Arg('alias', () => String, { description: 'Name of the alias.' }) alias: string,
    @Arg('windowDays', () => Int, { defaultValue: 7, description: WINDOW_DAYS }) windowDays: number,
    @Ctx() { principal, catalogLoaders, evaluationLoaders }: EvaluationContext,
  ): Promise<LiveGate | null> {
    checkRange('windowDays', windowDays, 1, MAX_WINDOW_DAYS);
    const gate = (await evaluationLoaders.gates.load(id)).find((one) => one.alias === alias);
    const holder = (await catalogLoaders.aliasesOfModel.load(id)).find(({ name }) => name === alias);
    const version = gate && holder ? await catalogLoaders.version.load(holder.versionId) : null;
    const spec = version && (await catalogLoaders.spec.load(version.id))?.spec;
    if (!gate || !version || !spec || !mayReadPredictionsOf(principal, version.ref)) return null;
    const found = await this.measured.measure({ version, spec, windowDays }, principal);
    if (!found) return null;
    const checks = liveChecks(gate.conditions, found.metrics).map((check) => create(LiveGateCheck, check));
    const isMissed = checks.some((check) => check.isMissed === true);
    const { measuredAt, outcomes } = found;
    return create(LiveGate, { measuredAt, outcomes, isMissed, checks, versionId: version.id });
  }
}

@Resolver(() => LiveGate)
export class LiveGateResolver {
  @FieldResolver(() => Version, { nullable: true, description: 'Version that the alias points to.' })
  version(@Root() { versionId }: LiveGate, @Ctx() { catalogLoaders }: EvaluationContext): Promise<Version | null> {
    return catalogLoaders.version.load(versionId);
  }
}
