import { Arg, Ctx, FieldResolver, Resolver, Root } from 'type-graphql';
import { Cost } from '../graphql/cost.js';
import { Evaluation } from './evaluation.type.js';
import type { EvaluationContext } from './loaders.js';
import { Plot, PlotKind, type PlotTheme } from './plot.type.js';
import type { Plots } from './plots.js';

/** Of reading what is drawn. It is drawn when its URL is read. */
const POINTS_PER_PLOT = 20;

@Resolver(() => Evaluation)
export class PlotResolver {
  constructor(private readonly plots: Plots) {}

  @Cost({ points: POINTS_PER_PLOT })
  @FieldResolver(() => Plot, {
    nullable: true,
    description:
      'A plot; null if there is nothing to draw: it is not COMPUTED, not SUCCEEDED or of numbers, or, for curves, has no scores or more than 20 classes; for IMPORTANCE, if it has none.',
  })
  async plot(
    @Root() { id }: Evaluation,
    @Arg('kind', () => PlotKind, { description: 'What it shows.' }) kind: keyof typeof PlotKind,
    @Ctx() { principal }: EvaluationContext,
  ): Promise<Plot | null> {
    if (!(await this.plots.has(id, kind, principal))) return null;
    const urlOf = (theme: keyof typeof PlotTheme) =>
      this.plots.urlOf({ evaluationId: id, kind, theme: theme === 'DARK' ? 'dark' : 'light' }, principal);
    return new Plot(urlOf, () => this.plots.altTextOf(id, kind, principal));
  }
}
