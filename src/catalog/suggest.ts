/** "Did you mean": names similar to the one that was typed, at most three, best match first. */
import { distance } from 'fastest-levenshtein';

const MAX_SUGGESTIONS = 3;
export const NAMES_TO_SUGGEST_FROM = 1_000;
/** No name is longer than 64 characters, so nothing longer than this is similar to one. */
const MAX_TYPED_CHARACTERS = 100;

export function suggest(typed: string, names: readonly string[]): string[] {
  if (typed.length > MAX_TYPED_CHARACTERS) return [];
  const limit = Math.max(2, Math.floor(typed.length / 3));
  return names
    .map((name) => ({ name, far: distance(typed, name) }))
    .filter(({ name, far }) => far <= limit || name.startsWith(typed))
    .sort((a, b) => a.far - b.far)
    .slice(0, MAX_SUGGESTIONS)
    .map(({ name }) => name);
}
