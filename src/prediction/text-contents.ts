/** What the texts of an input contain, as far as its price needs it. */
import { promptText } from '../tasks/prompts.js';
import { MAX_TEXT_CHARACTERS } from '../tasks/strings.js';
import { taskNamed, type VersionSpec } from '../tasks/tasks.js';
import { charactersTokenized, estimateTokens } from '../tasks/token-count.js';
import { MAX_TEMPLATE_CHARACTERS, templateOf } from '../tasks/zero-shot-classification.js';
import {
  Contents,
  lengthOf,
  listOf,
  type Measure,
  once,
  operationsOf,
  POINTS_PER_BYTE,
  recordOf,
  stringOf,
} from './contents.js';

/** Of a token that the graph reads, besides the operations of the graph. */
const POINTS_PER_TOKEN = 0.05;
/** Of a text that is tokenized. */
const POINTS_PER_CHARACTER_TOKENIZED = 0.003;
const POINTS_PER_TOKEN_TOKENIZED = 0.01;

/** What is found by reading a text. */
interface TextSize {
  /** As it was sent. */
  readonly bytes: number;
  /** With the prompt that stands before it, up to the longest text that is not refused. */
  readonly characters: number;
  readonly tokens: number;
  /** How much is tokenized, as a share of the text; above 1 if parts of it are tokenized twice. */
  readonly tokenizedShare: number;
}

/** The measures of the kinds of input that hold texts. Texts of variables are read once for each prompt before them. */
export function textMeasures(spec: VersionSpec | null): readonly (readonly [key: string, measure: Measure])[] {
  const texts = new Texts(spec);
  return [
    ['text', (text) => texts.one(text)],
    ['promptedText', once((value) => promptedText(texts, recordOf(value)))],
    ['question', once((value) => question(texts, recordOf(value)))],
    ['similarity', once(similarityMeasure(texts))],
    ['zeroShot', once(zeroShotMeasure(texts))],
    ['ranking', once(rankingMeasure(texts))],
  ];
}

/** Of a string that the graph itself tokenizes: of each that is sent, as much as the longest one has that is not refused. */
export const pointsOfString: Measure<number> = once((value) => {
  const text = stringOf(value).slice(0, MAX_TEXT_CHARACTERS);
  if (text === '') return 0;
  return pointsOfTokenizing(text.length, estimateTokens(text));
});

class Texts {
  readonly #spec: VersionSpec | null;
  readonly #defaultPrompt: string;
  readonly #sizes: (prompt: string) => Measure<TextSize>;

  constructor(spec: VersionSpec | null) {
    this.#spec = spec;
    this.#defaultPrompt = this.prompt(null);
    this.#sizes = byPrompt((prompt) => {
      const tokensOfPrompt = estimateTokens(prompt, spec?.text?.characters) - 1;
      return (text) => sizeOfText(spec, stringOf(text), { text: prompt, tokens: tokensOfPrompt });
    });
  }

  /** The text of a prompt by its name; of the default prompt without one. */
  prompt(name: unknown): string {
    return this.#spec ? promptText(this.#spec, typeof name === 'string' ? name : null) : '';
  }

  /** `reads`: how many times the model reads the text. */
  one(text: unknown, { prompt = this.#defaultPrompt, reads = 1 }: { prompt?: string; reads?: number } = {}): Contents {
    return contentsOfText(this.#spec, this.#sizes(prompt)(text), reads);
  }

  all(texts: readonly unknown[], prompt?: string): Contents {
    const contents = new Contents();
    for (const text of texts) contents.add(this.one(text, prompt === undefined ? {} : { prompt }));
    return contents;
  }

  /** The template of a hypothesis, which is tokenized and read once for each of `labels`, besides the label in it. */
  template(sent: unknown, labels: number): Contents {
    const spec = this.#spec;
    const own = sent == null ? null : stringOf(sent).slice(0, MAX_TEMPLATE_CHARACTERS);
    const text = spec ? templateOf(spec.head, own) : '';
    const tokens = estimateTokens(text, spec?.text?.characters) - 1;
    const tokensOfGraph = tokensRead(spec, tokens);
    const contents = new Contents();
    contents.bytes = lengthOf(sent);
    contents.points =
      contents.bytes * POINTS_PER_BYTE +
      labels * (pointsOfTokenizing(text.length, tokens) + tokensOfGraph * POINTS_PER_TOKEN);
    contents.operations = operationsOf(spec, labels * tokensOfGraph * (spec?.inputs.length ?? 1));
    return contents;
  }
}

/** Of a text with this many characters and tokens. */
function pointsOfTokenizing(characters: number, tokens: number): number {
  return characters * POINTS_PER_CHARACTER_TOKENIZED + tokens * POINTS_PER_TOKEN_TOKENIZED;
}

/** A longer text than the longest one is refused before it is read. */
function sizeOfText(
  spec: VersionSpec | null,
  sent: string,
  prompt: { readonly text: string; readonly tokens: number },
): TextSize {
  const read = sent.slice(0, MAX_TEXT_CHARACTERS);
  const text = prompt.text + read;
  return {
    bytes: sent.length,
    characters: text.length,
    tokens: prompt.tokens + estimateTokens(read, spec?.text?.characters),
    tokenizedShare: tokenizedShare(spec, text),
  };
}

function contentsOfText(
  spec: VersionSpec | null,
  { bytes, characters, tokens, tokenizedShare }: TextSize,
  reads: number,
): Contents {
  const contents = new Contents();
  contents.tokens = tokens;
  contents.bytes = bytes;
  contents.characters = characters;
  const tokensOfGraph = reads * tokensRead(spec, tokens);
  contents.points =
    bytes * POINTS_PER_BYTE +
    tokenizedShare * pointsOfTokenizing(characters, tokens) +
    tokensOfGraph * POINTS_PER_TOKEN;
  // The inputs of the graph, such as ids and mask, have a value for each token.
  contents.operations = operationsOf(spec, tokensOfGraph * (spec?.inputs.length ?? 1));
  return contents;
}

function promptedText(texts: Texts, { text, prompt }: Readonly<Record<string, unknown>>): Contents {
  return texts.one(text, { prompt: texts.prompt(prompt) });
}

function question(texts: Texts, { question, context }: Readonly<Record<string, unknown>>): Contents {
  return texts.all([question, context]);
}

function similarityMeasure(texts: Texts): Measure {
  const sentencesAfter = byPrompt((prompt) => (sentences) => texts.all(listOf(sentences), prompt));
  return (value) => {
    const { source, sentences, sourcePrompt, sentencesPrompt } = recordOf(value);
    const contents = texts.one(source, { prompt: texts.prompt(sourcePrompt) });
    contents.add(sentencesAfter(texts.prompt(sentencesPrompt))(sentences));
    contents.sentences = listOf(sentences).length;
    return contents;
  };
}

/** The model reads the text and the template once for each label. The template is also tokenized for each. */
function zeroShotMeasure(texts: Texts): Measure {
  const labelsMeasure = once((labels) => texts.all(listOf(labels)));
  return (value) => {
    const { text, labels, hypothesisTemplate } = recordOf(value);
    const count = listOf(labels).length;
    const contents = texts.one(text, { reads: count });
    contents.add(labelsMeasure(labels));
    contents.add(texts.template(hypothesisTemplate, count));
    contents.labels = count;
    return contents;
  };
}

/** The model reads the query once for each document. The answer repeats the documents. */
function rankingMeasure(texts: Texts): Measure {
  const documentsMeasure = once((documents) => texts.all(listOf(documents), ''));
  return (value) => {
    const { query, documents, prompt } = recordOf(value);
    const list = listOf(documents);
    const contents = texts.one(query, { prompt: texts.prompt(prompt), reads: list.length });
    const ofDocuments = documentsMeasure(documents);
    contents.add(ofDocuments);
    contents.documents = list.length;
    contents.repeatedBytes = ofDocuments.bytes;
    return contents;
  };
}

/** One value may be in places with different prompts, of which a version has at most 256. */
function byPrompt<T>(measureAfter: (prompt: string) => Measure<T>): (prompt: string) => Measure<T> {
  const measures = new Map<string, Measure<T>>();
  return (prompt) => {
    const known = measures.get(prompt) ?? once(measureAfter(prompt));
    measures.set(prompt, known);
    return known;
  };
}

function tokenizedShare(spec: VersionSpec | null, text: string): number {
  if (!spec?.text || text === '') return 1;
  const { longInputs, truncates } = spec.text;
  const tokenizesAll = taskNamed(spec.task).tokens?.tokenizesAll === true;
  const isWhole = longInputs === 'windows' || truncates === 'left' || tokenizesAll;
  return isWhole ? 1 : charactersTokenized(text, spec.text.maxTokens) / text.length;
}

/** Tokens that run, of a text with this many. */
function tokensRead(spec: VersionSpec | null, tokens: number): number {
  if (!spec?.text) return 0;
  const { maxTokens, longInputs, stride } = spec.text;
  if (longInputs === 'truncate') return Math.min(tokens, maxTokens);
  // Neighboring windows share `stride` tokens.
  return tokens * (maxTokens / Math.max(maxTokens / 8, maxTokens - stride));
}
