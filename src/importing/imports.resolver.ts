import { Ctx, FieldResolver, Query, Resolver, Root } from 'type-graphql';
import { Policy } from '../access/policy.js';
import type { CatalogContext } from '../catalog/loaders.js';
import { Model } from '../catalog/model.type.js';
import { create } from '../graphql/create.js';
import { withoutPaths } from '../without-paths.js';
import type { ImportProgress } from './import-progress.js';
import { ImportStatus } from './imports.type.js';
import { modelNameOf } from './manifest.js';

@Resolver(() => ImportStatus)
export class ImportResolver {
  constructor(private readonly progress: ImportProgress) {}

  @Policy('operate')
  @Query(() => [ImportStatus], {
    nullable: true,
    description:
      'Imports that wait or are running, and the last 100 that have ended; the latest change first. A folder is imported when it is added or changes. Operators only: others get null and a FORBIDDEN error.',
  })
  imports(): ImportStatus[] {
    return this.progress.folders.map((one) =>
      create(ImportStatus, { ...one, reason: one.reason === null ? null : withoutPaths(one.reason) }),
    );
  }

  @FieldResolver(() => Model, {
    nullable: true,
    description: 'Model of the folder; null until the folder has been read, or if the folder is no model.',
  })
  model(@Root() { folder }: ImportStatus, @Ctx() { catalogLoaders }: CatalogContext): Promise<Model | null> {
    return catalogLoaders.modelByName.load(modelNameOf(folder));
  }
}
