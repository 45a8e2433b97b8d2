/**
 * Prompts of sentence-transformers: texts that stand before every text. A model was trained with them, so that its
 * embeddings are wrong without them. A caller may choose one by name; without a name, the default prompt applies.
 */
import { listed, type Problems } from './problems.js';
import type { TextSpec } from './spec.js';

export const MAX_PROMPTS = 256;
/** In UTF-16 code units. */
export const MAX_PROMPT_CHARACTERS = 4_000;

interface WithText {
  readonly text: Pick<TextSpec, 'prompts'> | null;
}

/** The text of a prompt, or that of the default prompt without a name; empty if there is none. */
export function promptText({ text }: WithText, name: string | null = null): string {
  const wanted = name ?? text?.prompts?.default;
  return text?.prompts?.list.find((prompt) => prompt.name === wanted)?.text ?? '';
}

/** Checks that the version has a prompt of this name; null means the default. */
export function checkPrompt(
  name: string | null | undefined,
  path: readonly string[],
  { text }: WithText,
  problems: Problems,
): void {
  const prompts = text?.prompts?.list ?? [];
  if (name == null || prompts.some((prompt) => prompt.name === name)) return;
  const expected =
    prompts.length === 0 ? 'no prompt: this model has none' : `one of ${listed(prompts, (prompt) => prompt.name)}`;
  problems.add(path, 'UNKNOWN_NAME', 'the model has no prompt of this name', expected, name);
}
