import { Arg, Ctx, FieldResolver, Int, Resolver, Root } from 'type-graphql';
import { mayReadPredictionsOf } from '../access/grants.js';
import { Policy } from '../access/policy.js';
import type { CatalogContext } from '../catalog/loaders.js';
import { Version } from '../catalog/version.type.js';
import { Metric } from '../evaluation/evaluation.type.js';
import { metricUnit } from '../evaluation/metric-names.js';
import { checkRange } from '../graphql/check-range.js';
import { Cost } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { targetsOf } from '../tasks/tasks.js';
import type { Live } from './live.js';
import { LiveMetrics } from './live.type.js';

/** Reads and measures many outcomes. */
export const LIVE_POINTS = 2_000;
export const MAX_WINDOW_DAYS = 365;
export const WINDOW_DAYS = `How far back predictions are measured, in days, 1 to ${MAX_WINDOW_DAYS}.`;
/** A metric for each class of several kinds. */
const METRICS = 100;

@Resolver(() => Version)
export class VersionLiveResolver {
  constructor(private readonly measured: Live) {}

  @Policy('history')
  @Cost({ points: LIVE_POINTS })
  @FieldResolver(() => LiveMetrics, {
    nullable: true,
    description: `Metrics of this version on the outcomes of its recorded predictions (\`recordOutcome\`), with the names and definitions of evaluations: of your account; for administrators, of all accounts. Kept for a minute. Costs ${LIVE_POINTS.toLocaleString('en')} points. Null if the version predicts neither one of its labels nor one number; with a FORBIDDEN error if you may not read predictions, and with OVERLOADED if many versions are being measured.`,
  })
  async live(
    @Root() { id, ref }: Version,
    @Arg('windowDays', () => Int, { defaultValue: 7, description: WINDOW_DAYS }) windowDays: number,
    @Ctx() { principal, catalogLoaders }: CatalogContext,
  ): Promise<LiveMetrics | null> {
    checkRange('windowDays', windowDays, 1, MAX_WINDOW_DAYS);
    const spec = (await catalogLoaders.spec.load(id))?.spec;
    if (!spec || !mayReadPredictionsOf(principal, ref)) return null;
    const found = await this.measured.measure({ version: { id, ref }, spec, windowDays }, principal);
    if (!found) return null;
    const { since, measuredAt, predictions, outcomes, isCapped: outcomesCapped, metrics: measured } = found;
    const targets = targetsOf(spec);
    const unit = targets.length === 1 ? (targets[0]?.unit ?? null) : null;
    const wanted = { version: { id, ref }, spec, since };
    const counts = { predictions, outcomes, outcomesCapped };
    return create(LiveMetrics, { since, measuredAt, ...counts, measured, unit, wanted });
  }
}

@Resolver(() => LiveMetrics)
export class LiveMetricsResolver {
  @Cost({ elements: METRICS })
  @FieldResolver(() => [Metric], {
    description:
      'Metrics of the outcomes, as an evaluation has them, each with a 95% confidence interval if there are enough outcomes for one: Wilson for accuracy, micro averages, and precision and recall of a class, bootstrap (BCa) for others. Outcomes count as independent of each other. Metrics of single classes for up to 100 labels, metrics of scores for up to 1,000.',
  })
  metrics(
    @Root() { measured, unit }: LiveMetrics,
    @Arg('names', () => [String], {
      nullable: true,
      description: 'Names of the metrics to return, such as ["accuracy"]. Default: all. An empty list means all, too.',
    })
    names: string[] | null,
  ): Metric[] {
    const wanted = names?.length ? measured.filter(({ name }) => names.includes(name)) : measured;
    return wanted.map((metric) => create(Metric, { ...metric, unit: metricUnit(metric.name, unit) }));
  }
}
