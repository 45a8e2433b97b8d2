import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { BadArgumentError } from '../errors.js';
import type { EvaluationContext } from '../evaluation/loaders.js';
import { Node } from '../graphql/node.type.js';
import type { PredictionContext } from '../prediction/prediction.resolver.js';
import { typeOfId } from '../storage/ids.js';
import { MAX_PAGE_SIZE } from '../storage/pages.js';

type Context = PredictionContext & EvaluationContext;

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
  @Query(() => [Node], {
    nullable: 'items',
    description:
      'Objects with these ids, in the order of the ids; null for each that does not exist or that you may not see.',
  })
  nodes(
    @Arg('ids', () => [ID], { description: 'Ids of the objects, at most 100. More are a BAD_USER_INPUT error.' })
    ids: string[],
    @Ctx() context: Context,
  ): Promise<(Node | null)[]> {
    if (ids.length > MAX_PAGE_SIZE)
      throw new BadArgumentError(`\`ids\` has ${ids.length} ids; at most ${MAX_PAGE_SIZE} are allowed.`);
    return Promise.all(ids.map((id) => load(id, context)));
  }
}

async function load(id: string, { catalog, evaluations, predictionById }: Context): Promise<Node | null> {
  const type = typeOfId(id);
  if (type === 'Model') return catalog.model.load(id);
  if (type === 'Version') return catalog.version.load(id);
  if (type === 'Dataset') return catalog.dataset.load(id);
  if (type === 'Evaluation') return evaluations.evaluation.load(id);
  return type === 'Prediction' ? predictionById.load(id) : null;
}
