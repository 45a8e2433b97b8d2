/**
 * Texts: the rules for every text that a client sends, and texts for graphs that hold their whole path from string to
 * answer. Texts that are cut into tokens here go on in `sequences.ts`.
 */

import type { TensorData } from './datatypes.js';
import { type AnyItem, defineInput } from './define-input.js';
import type { Problems } from './problems.js';
import { onlyInput } from './row.js';
import type { AnySpec, Example, TextSpec, Widget } from './spec.js';

export const MAX_TEXT_CHARACTERS = 100_000;

export interface TextItem extends AnyItem {
  readonly kind: 'text';
  readonly text: string;
}

export const textInput = defineInput({
  kind: 'TEXT',
  key: 'text',
  check(text: string, spec: AnySpec, problems: Problems): TextItem {
    checkText(text, ['text'], problems);
    return { kind: 'text', rows: 1, work: workOf(spec, [text]), text };
  },
});

/** Checks one text of an input: not empty, well-formed, and not too long. */
export function checkText(text: unknown, path: readonly string[], problems: Problems): void {
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

/** A list of one to `most` elements. */
export function checkListLength(
  list: readonly unknown[],
  path: readonly string[],
  most: number,
  problems: Problems,
): void {
  if (list.length === 0) problems.add(path, 'EMPTY', 'the list is empty', `a list of 1 to ${most}`, 'a list of 0');
  else if (list.length > most) problems.add(path, 'TOO_LARGE', 'the list is too long', `a list of 1 to ${most}`, list);
}

/** A token has about four bytes. A guess is enough: times are compared with times of about this much work. */
const BYTES_PER_TOKEN = 4;

/** How much there is to compute: tokens of all texts where they are cut into tokens, else rows. */
export function workOf({ text }: { readonly text: TextSpec | null }, texts: readonly string[]): number {
  if (!text) return texts.length;
  const most = text.longInputs === 'truncate' ? text.maxTokens : Number.POSITIVE_INFINITY;
  return texts.reduce((sum, one) => sum + Math.min(most, 1 + Math.ceil(Buffer.byteLength(one) / BYTES_PER_TOKEN)), 0);
}

/** One string tensor, [1] or [1, 1] as the graph asks. */
export function stringTensor(text: string, spec: Pick<AnySpec, 'inputs'>): TensorData[] {
  const { name, datatype, shape } = onlyInput(spec);
  return [{ name, datatype, shape: shape.map(() => 1), data: [text] }];
}

/** The texts that the model card shows, then a plain one. */
export function textExamples(_spec: unknown, widget: Widget): Example[] {
  const shown = widgetInputs(widget, 'text').map(({ text }) => ({ text }));
  return [...shown, { text: 'The movie was great, and Paris is the capital of France.' }];
}

/** Whether a value of a model card is a text with something in it. */
export function isNonEmptyString(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}

/** The inputs of a model card in which each of these keys is a text. */
export function widgetInputs<Key extends string>(widget: Widget, ...keys: Key[]) {
  return widget.filter((input) => keys.every((key) => isNonEmptyString(input[key]))) as readonly (Readonly<
    Record<Key, string>
  > &
    Readonly<Record<string, unknown>>)[];
}
