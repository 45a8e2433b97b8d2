import { Ctx, FieldResolver, Resolver, Root } from 'type-graphql';
import { Version } from '../catalog/version.type.js';
import { Cost } from '../graphql/cost.js';
import { Sized } from '../graphql/sized.js';
import type { Evaluation } from './evaluation.type.js';
import type { EvaluationContext } from './loaders.js';
import { type CardResult, modelCardOf } from './model-card.js';

const MAX_EVALUATIONS = 100;
const POINTS = 100;
const BYTES = 65_536;

@Resolver(() => Version)
export class ModelCardResolver {
  @Cost({ points: POINTS, bytes: BYTES })
  @FieldResolver(() => String, {
    description: `The version as a model card of the Hugging Face Hub: front matter with license, tags, datasets and, as \`model-index\`, metrics; then the card of its model. Metrics are those of the last ${MAX_EVALUATIONS} evaluations: for each dataset the newest computed one, or the newest imported one if there is none. Intervals are arguments of their metrics.`,
  })
  async modelCard(@Root() version: Version, @Ctx() context: EvaluationContext): Promise<Sized<string> | null> {
    const { catalogLoaders } = context;
    const model = await catalogLoaders.model.load(version.modelId);
    if (!model) return null;
    return new Sized({ readBytes: model.cardBytes }, async () => {
      const [card, trainedOn, results] = await Promise.all([
        catalogLoaders.card.load(model.id),
        catalogLoaders.trainingDatasets.load(version.id),
        cardResults(version, context),
      ]);
      return modelCardOf(model, card?.card.markdown ?? '', trainedOn, results);
    });
  }
}

/** For each dataset that the caller may see, the evaluation that `findBestEvaluations` would choose among the last ones. */
async function cardResults(
  { id }: Version,
  { catalogLoaders, evaluationLoaders }: EvaluationContext,
): Promise<CardResult[]> {
  const page = await evaluationLoaders.evaluationsOf('version', id, { first: MAX_EVALUATIONS });
  const succeeded = page.edges.map(({ node }) => node).filter(({ jobState }) => jobState === 'SUCCEEDED');
  const results = [...Map.groupBy(succeeded, ({ datasetId }) => datasetId)].map(async ([datasetId, found]) => {
    const evaluation = (found.find(({ origin }) => origin === 'COMPUTED') ?? found[0]) as Evaluation;
    const [dataset, metrics] = await Promise.all([
      catalogLoaders.dataset.load(datasetId),
      evaluationLoaders.metrics.load(evaluation.id),
    ]);
    return dataset && { evaluation, dataset, metrics };
  });
  return (await Promise.all(results)).filter((result) => result !== null);
}
