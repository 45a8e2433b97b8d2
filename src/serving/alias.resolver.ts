import { Arg, Ctx, Field, InputType, Mutation, ObjectType, Resolver } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { SYSTEM } from '../access/principal.js';
import { REASON } from '../access/reason.js';
import { Alias } from '../catalog/alias.type.js';
import type { Catalog } from '../catalog/catalog.js';
import type { CatalogContext } from '../catalog/loaders.js';
import { Cost, POINTS_PER_CHANGE } from '../graphql/cost.js';
import { Problem, payloadOf } from '../graphql/problem.type.js';
import { VersionRef } from '../graphql/scalars.js';
import type { Serving } from './serving.js';

@InputType({ description: 'That an alias is moved although the version has not passed its gate.' })
export class GateOverrideInput {
  @Field({ description: REASON })
  reason!: string;
}

@InputType({ description: 'Alias to set, and the version it points to.' })
export class SetAliasInput {
  @Field({ description: 'Name of the model.' })
  model!: string;

  @Field({
    description: 'Name of the alias, matching `[a-z][a-z0-9-]{0,31}`. The alias `champion` marks the default version.',
  })
  alias!: string;

  @Field(() => VersionRef, { description: 'READY version of this model that the alias should point to.' })
  version!: string;

  @Field(() => String, { nullable: true, description: REASON })
  reason?: string | null;

  @Field(() => GateOverrideInput, {
    nullable: true,
    description:
      'Moves the alias even if the version has not passed its gate. Its reason takes the place of `reason`; the audit log also has what was missing, and `aliasHistory` that the gate was overridden. Default: the gate decides.',
  })
  override?: GateOverrideInput | null;
}

@InputType({ description: 'Alias to move back.' })
export class RollbackAliasInput {
  @Field({ description: 'Name of the model.' })
  model!: string;

  @Field({ description: 'Name of the alias.' })
  alias!: string;

  @Field(() => String, { nullable: true, description: REASON })
  reason?: string | null;
}

@ObjectType({
  description: 'The alias, or the problem that prevented setting it: exactly one of them.',
})
export class SetAliasPayload {
  @Field(() => Alias, { nullable: true, description: 'The alias after the change; null if there is a problem.' })
  alias!: Alias | null;

  @Field(() => Problem, { nullable: true, description: 'Why the alias was not set; null if it was.' })
  problem!: Problem | null;
}

@Resolver()
export class MoveAliasResolver {
  constructor(
    private readonly catalog: Catalog,
    private readonly versions: Serving,
  ) {}

  @Policy('operate')
  @Cost({ points: POINTS_PER_CHANGE })
  @Mutation(() => SetAliasPayload, {
    nullable: true,
    description:
      'Points an alias to a version and returns the alias; creates the alias, or moves it if it exists. Loads the version first, so that predictions through the alias do not wait for it: after 5 seconds, or when the same alias is set again, the alias is moved although the version is still loading. A version that cannot be loaded is NotReady, and the alias is not moved. If the alias has a gate (`setGate`), a version that has not passed it is GateNotPassed, and the alias is not moved unless `override` is given; comparing it with the present version may take some seconds. Operators only. Problems: InvalidInput, NotFound, NotReady, GateNotPassed, Conflict, Overloaded, ShuttingDown, Forbidden, StorageFull.',
  })
  async setAlias(
    @Arg('input', () => SetAliasInput, { description: 'Alias to set, and its version.' }) input: SetAliasInput,
    @Ctx() context: CatalogContext,
  ): Promise<SetAliasPayload> {
    const { result, problem } = await payloadOf(() => this.catalog.setAlias(context, input, this.#warmFor(input)));
    return { alias: result, problem };
  }

  @Policy('operate')
  @Cost({ points: POINTS_PER_CHANGE })
  @Mutation(() => SetAliasPayload, {
    nullable: true,
    description:
      'Points an alias to the version that it pointed to before its last move; when repeated, to the one before that. Loads the version first, as `setAlias` does, but asks no gate. NotFound if there is none before, Conflict if somebody moves the alias meanwhile. Operators only. Problems: InvalidInput, NotFound, NotReady, Conflict, ShuttingDown, Forbidden, StorageFull.',
  })
  async rollbackAlias(
    @Arg('input', () => RollbackAliasInput, { description: 'Alias to move back.' }) input: RollbackAliasInput,
    @Ctx() context: CatalogContext,
  ): Promise<SetAliasPayload> {
    const { result, problem } = await payloadOf(() => this.catalog.rollbackAlias(context, input, this.#warmFor(input)));
    return { alias: result, problem };
  }

  /** Whoever may move an alias may point it to versions that their key cannot run by number. */
  #warmFor({ alias }: { readonly alias: string }) {
    return ({ ref }: { readonly ref: string }) => this.versions.warm(ref, alias, SYSTEM);
  }
}
