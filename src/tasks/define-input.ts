/**
 * A kind of input: one key of `ModelInput`, its check, and the item that travels to a worker.
 */
import type { Problems } from './problems.js';
import type { AnySpec } from './spec.js';

/** A checked input. `rows` is how much of a batch it fills; `work` how much there is to compute, in rows or tokens. */
export interface AnyItem {
  readonly kind: string;
  readonly rows: number;
  readonly work: number;
}

export interface InputDefinition<Kind extends string, Key extends string, Value, Item extends AnyItem> {
  /** Value of the GraphQL enum `InputKind`. */
  readonly kind: Kind;
  /** Key of the GraphQL input `ModelInput`, and kind of the item. */
  readonly key: Key;
  /** Adds what is wrong to `problems`, with paths that start with the key. */
  check(value: Value, spec: AnySpec, problems: Problems): Item;
}
export type AnyInput = InputDefinition<string, string, unknown, AnyItem>;

export function defineInput<const Kind extends string, const Key extends string, Value, Item extends AnyItem>(
  definition: InputDefinition<Kind, Key, Value, Item>,
): InputDefinition<Kind, Key, Value, Item> {
  return definition;
}
