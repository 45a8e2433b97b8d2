import { Ctx, FieldResolver, Resolver, Root } from 'type-graphql';
import { Evaluation } from '../evaluation/evaluation.type.js';
import type { EvaluationContext } from '../evaluation/loaders.js';
import { Cost } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { Drift, DriftMeasure, DriftTest } from './drift.type.js';
import type { Drifts } from './drifts.js';
import { LiveMetrics } from './live.type.js';
import type { DriftTest as MeasuredTest } from './measure-drift.js';

/** Reads many predictions, and compares them. */
const DRIFT_POINTS = 2_000;

@Resolver(() => LiveMetrics)
export class LiveDriftResolver {
  constructor(private readonly drifts: Drifts) {}

  @Cost({ points: DRIFT_POINTS })
  @FieldResolver(() => Drift, {
    nullable: true,
    description: `How the recorded predictions of the window differ from those of the newest evaluation that this server has computed on data that the version was not trained on: of your account; for administrators, of all accounts. Drift is no error by itself, and where none is shown, there may be some. Kept for a minute. Costs ${DRIFT_POINTS.toLocaleString('en')} points. Null only with an entry in \`errors\`, such as OVERLOADED if many versions are being measured.`,
  })
  async drift(@Root() { wanted }: LiveMetrics, @Ctx() { principal }: EvaluationContext): Promise<Drift> {
    const { measures, ...found } = await this.drifts.measure(wanted, principal);
    return create(Drift, {
      ...found,
      measures: measures.map(({ kolmogorovSmirnov, chiSquare, ...measure }) =>
        create(DriftMeasure, {
          ...measure,
          kolmogorovSmirnov: testOf(kolmogorovSmirnov),
          chiSquare: testOf(chiSquare),
        }),
      ),
    });
  }
}

function testOf(test: MeasuredTest | null): DriftTest | null {
  return test && create(DriftTest, test);
}

@Resolver(() => Drift)
export class DriftResolver {
  @FieldResolver(() => Evaluation, {
    nullable: true,
    description: 'What predictions are compared with; null for the reason in `undefinedReason`.',
  })
  async evaluation(
    @Root() { evaluationId }: Drift,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Promise<Evaluation | null> {
    return evaluationId === null ? null : evaluationLoaders.evaluation.load(evaluationId);
  }
}
