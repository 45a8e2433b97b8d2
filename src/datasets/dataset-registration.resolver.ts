import { Arg, Ctx, Mutation, Resolver } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { Cost, POINTS_PER_CHANGE } from '../graphql/cost.js';
import { payloadOf } from '../graphql/problem.type.js';
import {
  DeleteDatasetInput,
  DeleteDatasetPayload,
  RegisterDatasetInput,
  RegisterDatasetPayload,
} from './dataset-registration.type.js';
import type { Datasets } from './datasets.js';
import type { DatasetContext } from './loaders.js';

/** Rows are read in a thread, for up to a minute. */
const POINTS_PER_READING = 1_000;

@Resolver()
export class DatasetRegistrationResolver {
  constructor(private readonly datasets: Datasets) {}

  @Policy('contribute')
  @Cost({ points: POINTS_PER_CHANGE + POINTS_PER_READING })
  @Mutation(() => RegisterDatasetPayload, {
    nullable: true,
    description:
      'Adds a dataset of your account. All rows are read and checked before it answers, which takes some seconds for each 100 MB, and for each 1,000 images of more than 4 KiB. Up to 20 problems are reported, each with the number of its row. A name that is taken is refused, also if you may not see the dataset that has it. Problems: InvalidInput, Overloaded (too many datasets, or others are being read), Forbidden, StorageFull, ShuttingDown.',
  })
  async registerDataset(
    @Arg('input', () => RegisterDatasetInput, { description: 'The dataset.' }) input: RegisterDatasetInput,
    @Ctx() { principal, catalogLoaders }: DatasetContext,
  ): Promise<RegisterDatasetPayload> {
    const { result, problem } = await payloadOf(async () => {
      const id = await this.datasets.register(input, principal);
      return catalogLoaders.dataset.load(id);
    });
    return { dataset: result, problem };
  }

  @Policy('contribute')
  @Cost({ points: POINTS_PER_CHANGE })
  @Mutation(() => DeleteDatasetPayload, {
    nullable: true,
    description:
      'Deletes a dataset of your account with its evaluations; administrators delete any whose folder is not in the model store. Problems: InvalidInput, NotFound, Forbidden, StorageFull.',
  })
  async deleteDataset(
    @Arg('input', () => DeleteDatasetInput, { description: 'The dataset.' }) input: DeleteDatasetInput,
    @Ctx() { principal, catalogLoaders }: DatasetContext,
  ): Promise<DeleteDatasetPayload> {
    const { result, problem } = await payloadOf(async () => {
      const found = await catalogLoaders.getDataset(input.dataset);
      await this.datasets.delete(found.id, input, principal);
      catalogLoaders.dataset.clear(found.id);
      catalogLoaders.datasetByName.clear(found.name);
      return found.id;
    });
    return { deletedId: result, problem };
  }
}
