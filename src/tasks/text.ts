/**
 * The input `text`. For graphs that take strings, `stringTensor` is the whole preprocessing; for graphs that take tokens, see
 * `sequences.ts`.
 */
import type { TensorData } from './datatypes.js';
import { type AnyItem, defineInput } from './define-input.js';
import type { Problems } from './problems.js';
import { promptText } from './prompts.js';
import { onlyInput } from './row.js';
import type { AnySpec, Example, TextSpec, Widget } from './spec.js';
import { checkText } from './strings.js';
import { estimateTokens } from './token-count.js';
import type { Work } from './work.js';

export interface TextItem extends AnyItem {
  readonly kind: 'text';
  readonly text: string;
}

export const textInput = defineInput({
  kind: 'TEXT',
  key: 'text',
  accepts: readsTexts,
  check(text: string, spec: AnySpec, problems: Problems): TextItem {
    checkText(text, ['text'], problems);
    return { kind: 'text', rows: 1, ...workOfTexts(spec, [text]), text };
  },
});

/** Versions with columns read rows. */
export function readsTexts({ columns }: Pick<AnySpec, 'columns'>): boolean {
  return columns.length === 0;
}

/** Checks that a list has 1 to `max` elements. */
export function checkListLength(
  list: readonly unknown[],
  path: readonly string[],
  max: number,
  problems: Problems,
): void {
  const expected = `a list of 1 to ${max} elements`;
  if (list.length === 0) problems.add(path, 'EMPTY', 'the list is empty', expected, list);
  else if (list.length > max) problems.add(path, 'TOO_LARGE', 'the list is too long', expected, list);
}

/**
 * Estimates the tokens of texts: those that run, and those that are tokenized. The rest of a truncated text only is. The
 * text `before`, which is read once, stands before each of them: the default prompt, if there is one.
 */
export function workOfTexts(
  { text }: { readonly text: TextSpec | null },
  texts: readonly string[],
  before = promptText({ text }),
): Work {
  const first = estimateTokens(before, text?.characters) - 1;
  const tokens = texts.map((one) => Math.ceil(first + estimateTokens(one, text?.characters)));
  const max = text?.longInputs === 'truncate' ? text.maxTokens : Number.POSITIVE_INFINITY;
  const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
  return { work: sum(tokens.map((count) => Math.min(max, count))), preprocessingWork: text ? sum(tokens) : 0 };
}

/** The text as a string tensor, with the shape [1] or [1, 1] as the graph requires. */
export function stringTensor(text: string, spec: Pick<AnySpec, 'inputs'>): TensorData[] {
  const { name, datatype, shape } = onlyInput(spec);
  return [{ name, datatype, shape: shape.map(() => 1), data: [text] }];
}

/** The texts of the model card's widget, then a default. */
export function textExamples(_spec: unknown, widget: Widget): Example[] {
  const fromCard = widgetInputs(widget, 'text').map(({ text }) => ({ text }));
  return [...fromCard, { text: 'The movie was great, and Paris is the capital of France.' }];
}

/** Whether a value of a model card is a string that is not blank. */
export function isNonBlankString(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}

/** The inputs of a model card's widget in which each of these keys is a string that is not blank. */
export function widgetInputs<Key extends string>(widget: Widget, ...keys: Key[]) {
  return widget.filter((input) => keys.every((key) => isNonBlankString(input[key]))) as readonly (Readonly<
    Record<Key, string>
  > &
    Readonly<Record<string, unknown>>)[];
}
