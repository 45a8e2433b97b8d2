/** Defines a kind of input: its key in `ModelInput`, its check, and the item that is sent to a worker. */
import type { Problems } from './problems.js';
import type { AnySpec } from './spec.js';
import type { Work } from './work.js';

/** A checked input. */
export interface AnyItem extends Work {
  readonly kind: string;
  /** Number of rows the item fills in a batch. */
  readonly rows: number;
}

export interface InputDefinition<Kind extends string, Key extends string, Value, Item extends AnyItem> {
  /** Value of the GraphQL enum `InputKind`. */
  readonly kind: Kind;
  /** Key of the GraphQL input `ModelInput`, and `kind` of the item. */
  readonly key: Key;
  /** Whether a version accepts this kind, which may depend on its columns and the shapes of its graph. If absent: all versions of the task. */
  accepts?(spec: Pick<AnySpec, 'columns' | 'inputs'>): boolean;
  /** Checks a value and converts it to an item. Problems found are added to `problems`; their paths start with the key. */
  check(value: Value, spec: AnySpec, problems: Problems): Item;
}
export type AnyInput = InputDefinition<string, string, unknown, AnyItem>;

export function defineInput<const Kind extends string, const Key extends string, Value, Item extends AnyItem>(
  definition: InputDefinition<Kind, Key, Value, Item>,
): InputDefinition<Kind, Key, Value, Item> {
  return definition;
}
