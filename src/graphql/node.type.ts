import { Field, ID, InterfaceType } from 'type-graphql';

@InterfaceType({ description: 'Anything with an id of its own: fetch it again by `node(id:)`.' })
export abstract class Node {
  @Field(() => ID, { description: 'Opaque, unique over all types, never reused.' })
  id!: string;
}
