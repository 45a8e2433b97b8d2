/**
 * Assigns labels chosen by the caller to a text. For each label, a natural language inference (NLI) model scores whether
 * the text entails a hypothesis such as "This example is <label>."
 *
 * Follows the pipeline `zero-shot-classification` of Hugging Face's transformers: by default, a softmax over the
 * entailment logits of all labels; with `multiLabel`, a softmax over entailment and contradiction for each label.
 */
import { ManifestError } from '../errors.js';
import type { TensorData } from './datatypes.js';
import { type AnyItem, defineInput } from './define-input.js';
import { defineTask, type Preprocessed, type Tools } from './define-task.js';
import type { Problems } from './problems.js';
import { checkLogits } from './score-head.js';
import { classificationOf, finiteScores, onlyOutput, softmax } from './scores.js';
import { encodeWithin, sequenceOf, tensorsOf, tokenBudget, tokenizerOf, truncate } from './sequences.js';
import { pickOutput, type TaskSources } from './sources.js';
import type { AnySpec, Example, SpecBase, TextSpec, Widget } from './spec.js';
import { checkText } from './strings.js';
import { checkListLength, widgetInputs, workOfTexts } from './text.js';

const MAX_LABELS = 100;
const MAX_LABEL_CHARACTERS = 200;
/** Of a template that is sent, in UTF-16 code units. */
export const MAX_TEMPLATE_CHARACTERS = 1_000;
/** The default of transformers. */
const DEFAULT_TEMPLATE = 'This example is {}.';

/** The output has the shape [N, labels] and holds logits. `entailment` and `contradiction` are indices of its labels. */
interface EntailmentHead {
  readonly kind: 'entailment';
  readonly output: string;
  readonly entailment: number;
  readonly contradiction: number | null;
  /** The hypothesis; `{}` is replaced by the label. */
  readonly template: string;
}

interface ZeroShotInput {
  readonly text: string;
  readonly labels: readonly string[];
  readonly multiLabel: boolean;
  /** The hypothesis; `{}` is replaced by the label. Null: the model's template. */
  readonly hypothesisTemplate?: string | null | undefined;
}

interface ZeroShotItem extends AnyItem, ZeroShotInput {
  readonly kind: 'zeroShot';
}

const zeroShotInput = defineInput({ kind: 'ZERO_SHOT', key: 'zeroShot', check: checkZeroShot });

export const zeroShotClassification = defineTask({
  name: 'ZERO_SHOT_CLASSIFICATION',
  description: 'Assigns labels chosen by the caller to a text.',
  reads: [zeroShotInput],
  part: 'tokens',
  answers: ['classification'],
  hasLabels: true,
  tokens: { longInputs: 'truncate' },
  head: entailmentHead,
  outputs: onlyOutput,
  examples: zeroShotExamples,
  preprocess: preprocessZeroShot,
});

function entailmentHead(sources: TaskSources): EntailmentHead {
  const { labels, output } = sources;
  const indexOf = (prefix: string) => labels.findIndex((label) => label.toLowerCase().startsWith(prefix));
  const entailment = indexOf('entail');
  if (entailment < 0)
    throw new ManifestError(
      `config.json: id2label has no label that begins with "entail"; zero-shot classification needs a natural language inference model with the labels contradiction, neutral and entailment (found: ${labels.join(', ') || 'none'})`,
    );
  const contradiction = indexOf('contra');
  const { name } = pickOutput(sources, 'scores', ['logits'], 2);
  checkLogits(sources, name);
  return {
    kind: 'entailment',
    output: name,
    entailment,
    // Like transformers: if no label is named so, the other end of the list.
    contradiction: contradiction >= 0 ? contradiction : entailment === 0 ? labels.length - 1 : 0,
    template: output.hypothesisTemplate ?? DEFAULT_TEMPLATE,
  };
}

const DEFAULT_ZERO_SHOT = { text: 'The movie was great.', labels: ['film', 'travel', 'food'] };

function zeroShotExamples(_spec: unknown, widget: Widget): Example[] {
  const fromCard = widgetInputs(widget, 'text', 'candidate_labels').map(({ text, candidate_labels }) => {
    const labels = candidate_labels.split(',').map((label) => label.trim());
    return { text, labels: labels.filter((label) => label !== '') };
  });
  return [...fromCard, DEFAULT_ZERO_SHOT].map((zeroShot) => ({ zeroShot }));
}

/** Problems have the paths `zeroShot.text`, `zeroShot.labels.<index>` and `zeroShot.hypothesisTemplate`. */
function checkZeroShot(input: ZeroShotInput, spec: AnySpec, problems: Problems): ZeroShotItem {
  const { text, labels, multiLabel, hypothesisTemplate = null } = input;
  checkText(text, ['zeroShot', 'text'], problems);
  checkListLength(labels, ['zeroShot', 'labels'], MAX_LABELS, problems);
  const seen = new Set<string>();
  for (const [i, label] of labels.slice(0, MAX_LABELS).entries()) {
    const path = ['zeroShot', 'labels', String(i)];
    checkText(label, path, problems);
    if (label.length > MAX_LABEL_CHARACTERS)
      problems.add(path, 'TOO_LARGE', 'the label is too long', `at most ${MAX_LABEL_CHARACTERS} characters`, label);
    if (seen.has(label)) problems.add(path, 'WRONG_KIND', 'this label appears twice', 'each label once', label);
    seen.add(label);
  }
  if (hypothesisTemplate !== null) checkTemplate(hypothesisTemplate, problems);
  const work = workOfTexts(spec, labels, text + templateOf(spec.head, hypothesisTemplate));
  return { kind: 'zeroShot', rows: labels.length, ...work, text, labels, multiLabel, hypothesisTemplate };
}

/** The hypothesis that is read for each label, with `{}` in its place: the one that was sent, or the model's. */
export function templateOf(head: EntailmentHead | { readonly kind: string }, sent: string | null | undefined): string {
  return sent ?? (isEntailment(head) ? head.template : DEFAULT_TEMPLATE);
}

function isEntailment(head: { readonly kind: string }): head is EntailmentHead {
  return head.kind === 'entailment';
}

function checkTemplate(template: string, problems: Problems): void {
  const path = ['zeroShot', 'hypothesisTemplate'];
  checkText(template, path, problems);
  if (template.length > MAX_TEMPLATE_CHARACTERS)
    problems.add(
      path,
      'TOO_LARGE',
      'the template is too long',
      `at most ${MAX_TEMPLATE_CHARACTERS} characters`,
      template,
    );
  if (!template.includes('{}'))
    problems.add(
      path,
      'MISSING',
      'the template has no {} for the label',
      `a sentence such as "${DEFAULT_TEMPLATE}"`,
      template,
    );
}

async function preprocessZeroShot(
  item: ZeroShotItem,
  spec: SpecBase & { readonly head: EntailmentHead; readonly text: TextSpec },
  tools: Tools,
): Promise<Preprocessed> {
  const { head } = spec;
  const tokenizer = tokenizerOf(tools);
  const template = templateOf(head, item.hypothesisTemplate);
  const budget = tokenBudget(spec.text, tokenizer.pair);
  const [text, ...encodedHypotheses] = await Promise.all([
    encodeWithin(tokenizer, item.text, budget, spec.text.truncates),
    ...item.labels.map((label) => tokenizer.encode(template.replace('{}', () => label))),
  ]);
  // Only the text is truncated, as by transformers, which leaves at least a token of it.
  const longest = budget - Math.min(1, text.ids.length);
  const hypotheses = encodedHypotheses.map((encoded) => truncate(encoded, longest));
  const isTruncated = encodedHypotheses.some(({ ids }) => text.ids.length + ids.length > budget);
  return {
    rows: hypotheses.map((hypothesis) =>
      tensorsOf(
        spec,
        sequenceOf(tokenizer.pair, truncate(text, budget - hypothesis.to, spec.text.truncates), hypothesis),
        tokenizer,
      ),
    ),
    postprocess: (outputs) => ({
      ...classificationOf(scoresOf(outputs, head, spec.labels.length, item), item.labels),
      labels: item.labels,
      ...(isTruncated ? { isTruncated } : {}),
    }),
  };
}

/** The score of each label, from the outputs of its row. */
function scoresOf(
  outputs: readonly (readonly TensorData[])[],
  { output, entailment, contradiction }: EntailmentHead,
  width: number,
  { labels, multiLabel }: ZeroShotItem,
): number[] {
  const logits = outputs.map((row) => finiteScores(row, output, width));
  const entailed = logits.map((row) => row[entailment] as number);
  if (!multiLabel && labels.length > 1) return softmax(entailed);
  return logits.map((row) => softmax([row[contradiction ?? 0] as number, row[entailment] as number])[1] as number);
}
