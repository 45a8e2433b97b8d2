import { Field, ID, InterfaceType } from 'type-graphql';

@InterfaceType({ description: 'Object with an id, which `node(id:)` and `nodes(ids:)` accept.' })
export abstract class Node {
  @Field(() => ID, { description: 'Opaque id, unique across all types and never reused.' })
  id!: string;
}
