import { Arg, Ctx, FieldResolver, Int, Resolver, Root } from 'type-graphql';
import { Plot } from '../evaluation/plot.type.js';
import type { SealedPlots } from '../evaluation/sealed-plots.js';
import { checkRange } from '../graphql/check-range.js';
import { Cost } from '../graphql/cost.js';
import { payloadOf } from '../graphql/problem.type.js';
import { MAX_BARS } from '../plots/bar-plot.js';
import { Prediction } from '../prediction/prediction.type.js';
import { Explanation, ExplanationPayload } from './explanation.type.js';
import { drawingOf } from './explanation-plots.js';
import type { ExplanationContext, Explanations } from './explanations.js';

/** What is run is known only when the prediction has been read. */
const EXPLANATION_POINTS = 4_000;
const MAX_MODEL_CALLS = 100_000;
const MAX_BUDGET_MS = 30_000;

@Resolver(() => Prediction)
export class ExplanationResolver {
  constructor(private readonly explanations: Explanations) {}

  @Cost({ points: EXPLANATION_POINTS })
  @FieldResolver(() => ExplanationPayload, {
    description: `Why the model gave this answer, for rows, texts and images that were classified with scores, and rows with a predicted number. Rows: Shapley values, exact for up to 10 columns if \`maxModelCalls\` is enough. Texts and images: occlusion. Computed only if it is selected, at low priority. Costs ${EXPLANATION_POINTS.toLocaleString('en')} points. Problems: InvalidInput if it cannot be explained, NotFound, DeadlineExceeded after \`budgetMs\`, and those of \`predict\`.`,
  })
  async explanation(
    @Root() prediction: Prediction,
    @Arg('maxModelCalls', () => Int, {
      defaultValue: 30_000,
      description: `How many inputs the model may be run on, 2 to ${MAX_MODEL_CALLS.toLocaleString('en')}. Large models are run on fewer. Texts and images are divided into as many parts.`,
    })
    maxModelCalls: number,
    @Arg('budgetMs', () => Int, {
      defaultValue: 5_000,
      description: `Time that the explanation may take, in milliseconds, 1 to ${MAX_BUDGET_MS.toLocaleString('en')}.`,
    })
    budgetMs: number,
    @Arg('background', () => String, {
      nullable: true,
      description:
        'Name of the dataset whose rows stand for "average": 100 of them, evenly spread. Default: the training data of the version, if it is stored here, otherwise its test data, or what it was evaluated on last.',
    })
    background: string | null,
    @Ctx() context: ExplanationContext,
  ): Promise<ExplanationPayload> {
    checkRange('maxModelCalls', maxModelCalls, 2, MAX_MODEL_CALLS);
    checkRange('budgetMs', budgetMs, 1, MAX_BUDGET_MS);
    const options = { maxModelCalls, budgetMs, background: background ?? null };
    const { result, problem } = await payloadOf(() => this.explanations.explain(prediction, options, context));
    return { explanation: result, problem };
  }
}

@Resolver(() => Explanation)
export class ExplanationPlotResolver {
  constructor(private readonly plots: SealedPlots) {}

  @FieldResolver(() => Plot, {
    description: `The heat map, or the ${MAX_BARS} largest attributions, as a plot. Its URL also ends when the prediction is deleted.`,
  })
  plot(@Root() explanation: Explanation, @Ctx() { principal }: ExplanationContext): Plot {
    return this.plots.plotOf(drawingOf(explanation), { predictionId: explanation.predictionId }, principal);
  }
}
