/** Tokens of one word; places are UTF-16 units of the word. */
export interface WordTokens {
  readonly ids: readonly number[];
  readonly tokens: readonly string[];
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

export interface Model {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly unkId: number | null;
  tokenize(word: string): WordTokens;
}
