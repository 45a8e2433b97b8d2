/**
 * Labels that the caller names: for each the model is asked whether the text entails "This example is <label>."
 *
 * As the pipeline of Hugging Face's transformers: with one label to choose, probabilities over the labels; with several
 * allowed, each label against its contradiction.
 */
import { bestOf, finiteRow, softmax } from './classification.js';
import type { TensorData } from './datatypes.js';
import { checkListLength } from './embedding.js';
import { type ItemOf, type ModelInput, type Preprocessed, Problems } from './input.js';
import { encodeBeginning, roomOf, sequenceOf, type Tokenizer, tensorsOf, truncated } from './sequences.js';
import type { Head, VersionSpec } from './spec.js';
import { checkWords, workOf } from './text.js';

export const MAX_LABELS = 100;
const MAX_LABEL_CHARACTERS = 200;

type EntailmentHead = Extract<Head, { kind: 'entailment' }>;

/** @throws InvalidInputError with paths `zeroShot.text` and `zeroShot.labels.<index>` */
export function checkZeroShot(spec: VersionSpec, input: ModelInput, prefix: readonly string[]): ItemOf<'zeroShot'> {
  const problems = new Problems(prefix);
  const { text = '', labels = [], multiLabel = false, hypothesisTemplate = null } = input.zeroShot ?? {};
  checkWords(text, ['zeroShot', 'text'], problems);
  checkListLength(labels, ['zeroShot', 'labels'], MAX_LABELS, problems);
  const seen = new Set<string>();
  for (const [i, label] of labels.slice(0, MAX_LABELS).entries()) {
    const path = ['zeroShot', 'labels', String(i)];
    checkWords(label, path, problems);
    if (label.length > MAX_LABEL_CHARACTERS)
      problems.add(path, 'TOO_LARGE', 'a label is a few words', `at most ${MAX_LABEL_CHARACTERS} characters`, label);
    if (seen.has(label)) problems.add(path, 'WRONG_KIND', 'this label is given twice', 'each label once', label);
    seen.add(label);
  }
  if (hypothesisTemplate !== null) checkTemplate(hypothesisTemplate, problems);
  problems.throwIfAny();
  const work = workOf(
    spec,
    labels.map((label) => `${text}${label}`),
  );
  return { kind: 'zeroShot', rows: labels.length, work, text, labels, multiLabel, hypothesisTemplate };
}

function checkTemplate(template: string, problems: Problems): void {
  const path = ['zeroShot', 'hypothesisTemplate'];
  checkWords(template, path, problems);
  if (template.length > MAX_TEMPLATE_CHARACTERS)
    problems.add(path, 'TOO_LARGE', 'it is one sentence', `at most ${MAX_TEMPLATE_CHARACTERS} characters`, template);
  if (!template.includes('{}'))
    problems.add(path, 'MISSING', 'nothing stands for the label', 'a sentence with {}', template);
}

const MAX_TEMPLATE_CHARACTERS = 1_000;

export async function preprocessZeroShot(
  item: ItemOf<'zeroShot'>,
  spec: VersionSpec,
  tokenizer: Tokenizer,
): Promise<Preprocessed> {
  const rules = spec.text as NonNullable<VersionSpec['text']>;
  const head = spec.head as EntailmentHead;
  const template = item.hypothesisTemplate ?? head.template;
  const room = roomOf(rules, tokenizer.pair);
  const [text, ...sentences] = await Promise.all([
    encodeBeginning(tokenizer, item.text, room),
    ...item.labels.map((label) => tokenizer.encode(template.replace('{}', () => label))),
  ]);
  const hypotheses = sentences.map((sentence) => truncated(sentence, Math.floor(room / 2)));
  const isTruncated = hypotheses.some(({ to }) => text.ids.length + to > room);
  return {
    rows: hypotheses.map((hypothesis) =>
      tensorsOf(spec, sequenceOf(tokenizer.pair, truncated(text, room - hypothesis.to), hypothesis), tokenizer),
    ),
    postprocess: (outputs) => ({
      ...bestOf(scoresOf(outputs, head, spec.labels.length, item), item.labels),
      labels: item.labels,
      ...(isTruncated ? { isTruncated } : {}),
    }),
  };
}

function scoresOf(
  outputs: readonly (readonly TensorData[])[],
  { output, entailment, contradiction }: EntailmentHead,
  width: number,
  { labels, multiLabel }: ItemOf<'zeroShot'>,
): number[] {
  const logits = outputs.map((own) => finiteRow(own, output, width));
  const entailed = logits.map((row) => row[entailment] as number);
  if (!multiLabel && labels.length > 1) return softmax(entailed);
  return logits.map((row) => softmax([row[contradiction ?? 0] as number, row[entailment] as number])[1] as number);
}
