/** The rules for all texts that clients send, and for the strings in rows and tensors that a graph reads. */
import type { Problems, ValueProblem } from './problems.js';
import { estimateTokens } from './token-count.js';

/** In UTF-16 code units. */
export const MAX_TEXT_CHARACTERS = 100_000;

/** Checks that a text is not too long, valid Unicode without NUL characters, and, unless it may be, not empty. */
export function checkText(
  text: unknown,
  path: readonly string[],
  problems: Problems,
  { mayBeEmpty = false } = {},
): void {
  if (typeof text !== 'string') {
    problems.add(path, 'WRONG_TYPE', 'the value is not a string', 'a non-empty text', text);
  } else if (text.trim() === '' && !mayBeEmpty) {
    problems.add(path, 'EMPTY', 'the text is empty', 'a non-empty text', text);
  } else {
    checkString(text, path, problems);
  }
}

/** Whether there is no problem with a string. */
export function isAccepted(text: string): boolean {
  return problemOfString(text) === null;
}

/** Checks a string that may be empty. */
export function checkString(text: string, path: readonly string[], problems: Problems): void {
  const problem = problemOfString(text);
  if (problem) problems.add(path, ...problem);
}

/** What is wrong with a string that may be empty; null if nothing is. */
export function problemOfString(text: string): ValueProblem | null {
  if (text.length > MAX_TEXT_CHARACTERS) {
    const expected = `at most ${MAX_TEXT_CHARACTERS} characters`;
    return ['TOO_LARGE', 'the text is too long', expected, `${text.length} characters`];
  }
  if (!text.isWellFormed()) return ['UNREADABLE', 'the text contains half of a surrogate pair', 'valid Unicode', text];
  // ONNX Runtime for Node cuts a string off at the first NUL: the model would get another value.
  if (text.includes('\0'))
    return ['UNREADABLE', 'the text contains a NUL character', 'a text without NUL characters', text];
  return null;
}

/** The work of strings that a graph reads: their tokens, as estimated for any tokenizer. */
export function workOfStrings(values: Iterable<unknown>): number {
  let tokens = 0;
  for (const value of values) if (typeof value === 'string') tokens += estimateTokens(value);
  return Math.ceil(tokens);
}
