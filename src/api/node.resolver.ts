import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { BadArgumentError } from '../errors.js';
import type { EvaluationContext } from '../evaluation/loaders.js';
import { Cost } from '../graphql/cost.js';
import { Node } from '../graphql/node.type.js';
import type { PredictionContext } from '../prediction/loaders.js';
import type { PublicationContext } from '../publishing/loaders.js';
import { type NodeTypeName, typeOfId } from '../storage/ids.js';
import { MAX_PAGE_SIZE } from '../storage/pages.js';

type Context = PredictionContext & EvaluationContext & PublicationContext;

@Resolver(() => Node)
export class NodeResolver {
  @Policy('read')
  @Query(() => Node, {
    nullable: true,
    description: 'Object with this id; null if it does not exist or you may not see it.',
  })
  node(
    @Arg('id', () => ID, { description: 'Id of the object.' }) id: string,
    @Ctx() context: Context,
  ): Promise<Node | null> {
    return load(id, context);
  }

  @Policy('read')
  @Cost({ elements: ({ ids }) => (Array.isArray(ids) ? ids.length : 1) })
  @Query(() => [Node], {
    nullable: 'items',
    description:
      'Objects with these ids, in the order of the ids; null for each that does not exist or that you may not see.',
  })
  nodes(
    @Arg('ids', () => [ID], {
      description: `Ids of the objects, at most ${MAX_PAGE_SIZE}. More are a BAD_USER_INPUT error.`,
    })
    ids: string[],
    @Ctx() context: Context,
  ): Promise<(Node | null)[]> {
    if (ids.length > MAX_PAGE_SIZE)
      throw new BadArgumentError(`\`ids\` has ${ids.length} ids; at most ${MAX_PAGE_SIZE} are allowed.`);
    return Promise.all(ids.map((id) => load(id, context)));
  }
}

/** Loads the object with an id, by the type that the id names. A type without a line here is a compile error. */
const LOAD: Readonly<Record<NodeTypeName, (id: string, context: Context) => Promise<Node | null>>> = {
  Model: (id, { catalogLoaders }) => catalogLoaders.model.load(id),
  Version: (id, { catalogLoaders }) => catalogLoaders.version.load(id),
  Dataset: (id, { catalogLoaders }) => catalogLoaders.dataset.load(id),
  Evaluation: (id, { evaluationLoaders }) => evaluationLoaders.evaluation.load(id),
  Publication: (id, { publicationLoaders }) => publicationLoaders.publication.load(id),
  Prediction: (id, { predictionLoaders }) => predictionLoaders.prediction.load(id),
};

async function load(id: string, context: Context): Promise<Node | null> {
  const type = typeOfId(id);
  return type ? LOAD[type](id, context) : null;
}
