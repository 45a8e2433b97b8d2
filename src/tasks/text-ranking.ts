/**
 * Scores how relevant documents are to a query, by reading each of them together with the query: cross-encoders of
 * sentence-transformers. Pipeline tag `text-ranking` of Hugging Face.
 */
import { ManifestError } from '../errors.js';
import type { Answer } from './answer.js';
import type { TensorData } from './datatypes.js';
import { type AnyItem, defineInput } from './define-input.js';
import { defineTask, oneRow, type Preprocessed, type Tools } from './define-task.js';
import type { Problems } from './problems.js';
import { checkPrompt, promptText } from './prompts.js';
import { applyActivation, finiteScores, onlyOutput } from './scores.js';
import {
  type Encoded,
  encodeWithin,
  sequenceOf,
  type Tokenizer,
  tensorsOf,
  tokenBudget,
  tokenizerOf,
  truncate,
  truncatePair,
} from './sequences.js';
import { architectureOf, type ModelFiles, pickOutput, type TaskSources } from './sources.js';
import type { Activation, AnySpec, Example, SpecBase, TextSpec, Widget } from './spec.js';
import { checkText } from './strings.js';
import { shapeText } from './tensors.js';
import { checkListLength, type TextItem, textInput, widgetInputs, workOfTexts } from './text.js';

export const MAX_DOCUMENTS = 256;
/** Of all documents together, in UTF-16 code units: an answer repeats them. */
export const MAX_DOCUMENTS_CHARACTERS = 1_000_000;

/** The output has the shape [N, 1] or [N]: one score for each pair of query and document. */
interface RankingHead {
  readonly kind: 'ranking';
  readonly output: string;
  readonly activation: Exclude<Activation, 'softmax'>;
}
type RankingSpec = SpecBase & { readonly head: RankingHead; readonly text: TextSpec };

interface RankingInput {
  readonly query: string;
  readonly documents: readonly string[];
  /** Name of the prompt before the query; null for the default. */
  readonly prompt?: string | null | undefined;
}

interface RankingItem extends AnyItem, RankingInput {
  readonly kind: 'ranking';
}

const rankingInput = defineInput({ kind: 'RANKING', key: 'ranking', check: checkRanking });

export const textRanking = defineTask({
  name: 'TEXT_RANKING',
  description: 'Scores how relevant documents are to a query, and sorts them by score.',
  reads: [rankingInput, textInput],
  part: 'tokens',
  answers: ['ranking', 'classification'],
  tokens: { longInputs: 'truncate', tokenizesAll: true, hasPrompts: true },
  recognizes: isCrossEncoder,
  head: rankingHead,
  outputs: onlyOutput,
  examples: rankingExamples,
  preprocess: (item, spec, tools) =>
    item.kind === 'text' ? preprocessAlone(item, spec, tools) : preprocessRanking(item, spec, tools),
});

/** Whether sentence-transformers wrote the files. Cross-encoders with several labels classify pairs and rank nothing. */
function isCrossEncoder(files: ModelFiles): boolean {
  const isOwn = files.ranker !== undefined || activationsOf(files).length > 0;
  const labels = Object.keys(files.config?.id2label ?? {}).length;
  return isOwn && labels === 1 && /ForSequenceClassification$/.test(architectureOf(files));
}

// ── the head ──

function rankingHead(sources: TaskSources): RankingHead {
  const { hf, facts, output } = sources;
  if (hf.ranker?.refusal && output.scores === undefined)
    throw new ManifestError(`${hf.ranker.refusal}; or set output.scores in model.yaml`);
  const flat = facts.outputs.filter(({ shape, datatype }) => shape.length === 1 && datatype.startsWith('FP'));
  const rank = facts.outputs.length === flat.length && flat.length > 0 ? 1 : 2;
  const { name, shape } = pickOutput(sources, 'scores', ['logits', 'scores'], rank);
  const width = rank === 1 ? 1 : (shape.at(-1) ?? 1);
  if (width !== 1)
    throw new ManifestError(
      `output "${name}" has shape ${shapeText(shape)}, but TEXT_RANKING needs one score for each pair of a query and a document: export a model with num_labels 1, or set task: text-classification in model.yaml`,
    );
  return { kind: 'ranking', output: name, activation: activationOf(sources, name) };
}

function activationOf({ hf, facts, output }: TaskSources, name: string): RankingHead['activation'] {
  const isActivated = facts.outputOrigins[name]?.scores === 'sigmoid';
  const declared = output.activation;
  if (declared === 'softmax' || (isActivated && declared === 'sigmoid'))
    throw new ManifestError(
      `model.yaml: output.activation is ${declared}, but ${isActivated ? `output "${name}" already is a Sigmoid` : 'a single score has no softmax'}: remove it, or use none`,
    );
  if (isActivated) return 'none';
  return (
    declared ??
    activationsOf(hf)
      .map(activationNamed)
      .find((found) => found !== null) ??
    'sigmoid'
  );
}

/** The functions that the files name, in the order in which sentence-transformers reads them. */
function activationsOf({ config, ranker }: ModelFiles): string[] {
  const own = Object(config?.sentence_transformers)['activation_fn'] ?? config?.sbert_ce_default_activation_function;
  return [ranker?.activation, own].filter((name) => typeof name === 'string');
}

/** Null for functions outside torch, which sentence-transformers ignores. @throws ManifestError for others of torch */
function activationNamed(path: string): RankingHead['activation'] | null {
  if (!path.startsWith('torch.')) return null;
  const name = path.slice(path.lastIndexOf('.') + 1);
  if (name === 'Sigmoid') return 'sigmoid';
  if (name === 'Identity') return 'none';
  throw new ManifestError(
    `activation_fn is "${path}", which is not supported: export it as part of the graph, and set output: { activation: none } in model.yaml`,
  );
}

// ── inputs ──

/** Problems have the paths `ranking.query`, `ranking.documents.<index>` and `ranking.prompt`. */
function checkRanking(
  { query, documents, prompt = null }: RankingInput,
  spec: AnySpec,
  problems: Problems,
): RankingItem {
  checkText(query, ['ranking', 'query'], problems);
  checkListLength(documents, ['ranking', 'documents'], MAX_DOCUMENTS, problems);
  for (const [i, document] of documents.slice(0, MAX_DOCUMENTS).entries())
    checkText(document, ['ranking', 'documents', String(i)], problems, { mayBeEmpty: true });
  const characters = documents.reduce((sum, { length }) => sum + length, 0);
  if (characters > MAX_DOCUMENTS_CHARACTERS) {
    const expected = `at most ${MAX_DOCUMENTS_CHARACTERS} characters in all`;
    problems.add(
      ['ranking', 'documents'],
      'TOO_LARGE',
      'the documents are too long',
      expected,
      `${characters} characters`,
    );
  }
  checkPrompt(prompt, ['ranking', 'prompt'], spec, problems);
  const asked = promptText(spec, prompt) + query;
  const pairs = workOfTexts(spec, documents, asked);
  return { kind: 'ranking', rows: documents.length, ...pairs, query, documents, prompt };
}

const DEFAULT_RANKING: RankingInput = {
  query: 'What is the capital of France?',
  documents: ['Paris is the capital of France.', 'The movie was great.'],
};

function rankingExamples(_spec: unknown, widget: Widget): Example[] {
  const fromCard = widgetInputs(widget, 'source_sentence').flatMap(({ source_sentence: query, sentences }) =>
    Array.isArray(sentences) ? [{ query, documents: sentences }] : [],
  );
  return [...fromCard, DEFAULT_RANKING].map((ranking) => ({ ranking }));
}

// ── running ──

async function preprocessRanking(
  { query, documents, prompt = null }: RankingItem,
  spec: RankingSpec,
  tools: Tools,
): Promise<Preprocessed> {
  const tokenizer = tokenizerOf(tools);
  const budget = tokenBudget(spec.text, tokenizer.pair);
  const asked = promptText(spec, prompt) + query;
  const { truncates } = spec.text;
  const encoded = await encodeWithin(tokenizer, asked, budget, truncates);
  const pairs = new Pairs(tokenizer, { query: asked, encoded }, budget, truncates);
  const lengths = await Promise.all(documents.map((document) => pairs.fit(document)));
  return {
    rows: lengths.map(({ query, document }) => tensorsOf(spec, sequenceOf(tokenizer.pair, query, document), tokenizer)),
    postprocess: (outputs) => ({
      kind: 'ranking',
      documents,
      scores: outputs.map((row) => scoreOf(row, spec.head)),
      ...(lengths.some(({ isTruncated }) => isTruncated) ? { isTruncated: true as const } : {}),
    }),
  };
}

/** Fits a query and a document into a sequence, as the tokenizers library does: the longer of both is truncated first. */
class Pairs {
  readonly #tokenizer: Tokenizer;
  readonly #query: string;
  readonly #encoded: Encoded;
  readonly #budget: number;
  readonly #side: TextSpec['truncates'];
  #queryLength: Promise<number> | null = null;

  constructor(
    tokenizer: Tokenizer,
    { query, encoded }: { query: string; encoded: Encoded },
    budget: number,
    side: TextSpec['truncates'],
  ) {
    this.#tokenizer = tokenizer;
    this.#query = query;
    this.#encoded = encoded;
    this.#budget = budget;
    this.#side = side;
  }

  async fit(text: string) {
    const query = this.#encoded;
    const document = await encodeWithin(this.#tokenizer, text, this.#budget, this.#side);
    const lengths = await this.#lengths(text, document);
    const [ofQuery, ofDocument] = truncatePair(lengths, this.#budget);
    return {
      query: truncate(query, ofQuery, this.#side),
      document: truncate(document, ofDocument, this.#side),
      isTruncated: query.ids.length + document.ids.length > this.#budget,
    };
  }

  /** If both are longer than the sequence, only their beginnings are encoded, and the longer one gets an odd token. */
  async #lengths(text: string, document: Encoded): Promise<[query: number, document: number]> {
    const lengths: [number, number] = [this.#encoded.ids.length, document.ids.length];
    if (this.#budget % 2 === 0 || Math.min(...lengths) <= this.#budget) return lengths;
    this.#queryLength ??= this.#tokenizer.encode(this.#query).then(({ ids }) => ids.length);
    return [await this.#queryLength, (await this.#tokenizer.encode(text)).ids.length];
  }
}

/** A text by itself, as transformers' pipeline for text classification scores it. */
async function preprocessAlone({ text }: TextItem, spec: RankingSpec, tools: Tools): Promise<Preprocessed> {
  const tokenizer = tokenizerOf(tools);
  const budget = tokenBudget(spec.text, tokenizer.single);
  const { truncates } = spec.text;
  const encoded = await encodeWithin(tokenizer, promptText(spec) + text, budget, truncates);
  const row = tensorsOf(spec, sequenceOf(tokenizer.single, truncate(encoded, budget, truncates)), tokenizer);
  const label = spec.labels[0] ?? 'LABEL_0';
  const answer = (outputs: readonly TensorData[]): Answer => {
    const score = scoreOf(outputs, spec.head);
    const isProbability = score >= 0 && score <= 1;
    return { kind: 'classification', label, scores: isProbability ? [score] : null, labels: [label] };
  };
  return oneRow(row, answer, encoded.ids.length > budget);
}

/** @throws UnusableOutputError */
function scoreOf(outputs: readonly TensorData[], { output, activation }: RankingHead): number {
  const [score] = applyActivation(finiteScores(outputs, output, 1), activation);
  return score as number;
}
