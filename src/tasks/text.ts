/**
 * Texts: the rules for every text that a client sends, and texts for graphs that hold their whole path from string to
 * answer. Texts that are cut into tokens here go on in `sequences.ts`.
 */

import type { TensorData } from './datatypes.js';
import { type ItemOf, type ModelInput, Problems } from './input.js';
import { graphInput } from './row.js';
import type { VersionSpec } from './spec.js';

export const MAX_TEXT_CHARACTERS = 100_000;

/** @throws InvalidInputError with path `text` */
export function checkText(spec: VersionSpec, input: ModelInput, prefix: readonly string[]): ItemOf<'text'> {
  const problems = new Problems(prefix);
  const text = input.text as string;
  checkWords(text, ['text'], problems);
  if (spec.head.kind === 'mask') checkMask(text, spec.text?.maskToken ?? '', problems);
  problems.throwIfAny();
  return { kind: 'text', rows: 1, work: workOf(spec, [text]), text };
}

/** One text of an input: there, readable, and not too long. */
export function checkWords(text: unknown, path: readonly string[], problems: Problems): void {
  if (typeof text !== 'string') {
    problems.add(path, 'WRONG_TYPE', 'this is a text', 'a text', text);
  } else if (text.trim() === '') {
    problems.add(path, 'EMPTY', 'there is nothing to read', 'a text', text);
  } else if (text.length > MAX_TEXT_CHARACTERS) {
    const expected = `at most ${MAX_TEXT_CHARACTERS} characters`;
    problems.add(path, 'TOO_LARGE', 'the text is too long', expected, `${text.length} characters`);
  } else if (!text.isWellFormed()) {
    problems.add(path, 'UNREADABLE', 'the text holds half of a surrogate pair', 'well-formed Unicode', text);
  } else if (text.includes('\0')) {
    problems.add(path, 'UNREADABLE', 'the text holds a NUL character', 'a text without NUL', text);
  }
}

function checkMask(text: string, mask: string, problems: Problems): void {
  const count = text.split(mask).length - 1;
  if (count === 1) return;
  const code = count === 0 ? 'MISSING' : 'WRONG_KIND';
  problems.add(['text'], code, 'one word of the text is left open', `${mask} exactly once`, `${count} times`);
}

/** A token has about four bytes. A guess is enough: times are compared with times of about this much work. */
const BYTES_A_TOKEN = 4;

/** How much there is to compute: tokens of all texts where they are cut into tokens, else rows. */
export function workOf({ text }: VersionSpec, texts: readonly string[]): number {
  if (!text) return texts.length;
  const most = text.longInputs === 'truncate' ? text.maxTokens : Number.POSITIVE_INFINITY;
  return texts.reduce((sum, one) => sum + Math.min(most, 1 + Math.ceil(Buffer.byteLength(one) / BYTES_A_TOKEN)), 0);
}

/** One string tensor, [1] or [1, 1] as the graph asks. */
export function stringTensor(text: string, spec: VersionSpec): TensorData[] {
  const { name, datatype, shape } = graphInput(spec);
  return [{ name, datatype, shape: shape.map(() => 1), data: [text] }];
}
