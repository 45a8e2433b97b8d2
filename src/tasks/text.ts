/**
 * Texts for graphs that hold their whole path from string to probability.
 */

import type { TensorData } from './datatypes.js';
import { type Item, type ModelInput, Problems } from './input.js';
import { graphInput } from './row.js';
import type { VersionSpec } from './spec.js';

export const MAX_TEXT_CHARACTERS = 100_000;

/** @throws InvalidInputError with path `text` */
export function checkText(_spec: VersionSpec, input: ModelInput, prefix: readonly string[]): Item {
  const problems = new Problems(prefix);
  const text = input.text as string;
  if (text.trim() === '') {
    problems.add(['text'], 'EMPTY', 'there is nothing to read', 'a text', text);
  } else if (text.length > MAX_TEXT_CHARACTERS) {
    const expected = `at most ${MAX_TEXT_CHARACTERS} characters`;
    problems.add(['text'], 'TOO_LARGE', 'the text is too long', expected, `${text.length} characters`);
  } else if (!text.isWellFormed()) {
    problems.add(['text'], 'UNREADABLE', 'the text holds half of a surrogate pair', 'well-formed Unicode', text);
  } else if (text.includes('\0')) {
    problems.add(['text'], 'UNREADABLE', 'the text holds a NUL character', 'a text without NUL', text);
  }
  problems.throwIfAny();
  return { kind: 'text', rows: 1, text };
}

/** One string tensor, [1] or [1, 1] as the graph asks. */
export function prepareText(item: Extract<Item, { kind: 'text' }>, spec: VersionSpec): TensorData[] {
  const { name, datatype, shape } = graphInput(spec);
  return [{ name, datatype, shape: shape.map(() => 1), data: [item.text] }];
}
