import { Arg, Ctx, FieldResolver, Resolver, Root } from 'type-graphql';
import { Plot } from '../evaluation/plot.type.js';
import type { SealedPlots } from '../evaluation/sealed-plots.js';
import { MAX_OPTIMAL } from '../plots/pareto-plot.js';
import { Recommendation, VersionCost } from './choosing.type.js';
import type { ChoosingContext } from './loaders.js';
import { recommendationPlot } from './recommendation-plot.js';

@Resolver(() => Recommendation)
export class RecommendationPlotResolver {
  constructor(private readonly plots: SealedPlots) {}

  @FieldResolver(() => Plot, {
    nullable: true,
    description: `The metric of the ranked versions against what they cost, as a plot. Those of \`paretoSet\` are marked, and the best ${MAX_OPTIMAL} of them named. Null if no ranked version has the value.`,
  })
  plot(
    @Root() { recommended }: Recommendation,
    @Arg('against', () => VersionCost, { defaultValue: 'LATENCY', description: 'What the metric is compared with.' })
    against: keyof typeof VersionCost,
    @Ctx() { principal }: ChoosingContext,
  ): Plot | null {
    const found = recommendationPlot(recommended, against);
    return found && this.plots.plotOf(found.drawing, found.shown, principal);
  }
}
