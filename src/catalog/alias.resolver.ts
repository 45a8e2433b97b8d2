import { Ctx, FieldResolver, Resolver, Root } from 'type-graphql';
import { allows } from '../access/policy.js';
import { Alias, AliasChange } from './alias.type.js';
import type { CatalogContext } from './loaders.js';
import { Version } from './version.type.js';

@Resolver(() => Alias)
export class AliasResolver {
  @FieldResolver(() => Version, { description: 'Version that the alias points to now.' })
  aliasedVersion(@Root() alias: Alias, @Ctx() { catalogLoaders }: CatalogContext): Promise<Version | null> {
    return catalogLoaders.version.load(alias.versionId);
  }
}

@Resolver(() => AliasChange)
export class AliasChangeResolver {
  @FieldResolver(() => Version, { nullable: true, description: 'Version that the alias was moved to.' })
  aliasedVersion(@Root() change: AliasChange, @Ctx() { catalogLoaders }: CatalogContext): Promise<Version | null> {
    return catalogLoaders.version.load(change.versionId);
  }

  @FieldResolver(() => Version, {
    nullable: true,
    description:
      'Version that the alias pointed to before; null if this change created the alias, or was made by an earlier release.',
  })
  previousVersion(
    @Root() { previousVersionId }: AliasChange,
    @Ctx() { catalogLoaders }: CatalogContext,
  ): Promise<Version | null> | null {
    return previousVersionId === null ? null : catalogLoaders.version.load(previousVersionId);
  }

  @FieldResolver(() => String, {
    nullable: true,
    description:
      'Account that moved the alias, for the account that owns the model, auditors and administrators; null for others.',
  })
  async changedBy(@Root() change: AliasChange, @Ctx() context: CatalogContext): Promise<string | null> {
    return (await mayKnowWho(change, context)) ? change.account : null;
  }

  @FieldResolver(() => String, {
    nullable: true,
    description:
      'Why it was moved, as the caller said; null if they did not, and for callers for whom `changedBy` is null.',
  })
  async reason(@Root() change: AliasChange, @Ctx() context: CatalogContext): Promise<string | null> {
    return (await mayKnowWho(change, context)) ? change.statedReason : null;
  }
}

async function mayKnowWho({ modelId }: AliasChange, { principal, catalogLoaders }: CatalogContext): Promise<boolean> {
  if (allows('audit', principal)) return true;
  return (await catalogLoaders.model.load(modelId))?.account === principal.id;
}
