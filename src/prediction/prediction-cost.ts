/**
 * The price of running a version: from the lengths of what was sent and the version's spec. Nothing is decoded, and only
 * lengths are read, so the inputs need not be valid.
 */
import type { Args, PredictionSize, Runs, VersionName } from '../graphql/cost.js';
import type { Answer } from '../tasks/answer.js';
import { MAX_OBJECTS } from '../tasks/boxes.js';
import { DATATYPES } from '../tasks/datatypes.js';
import { MAX_IMAGE_PIXELS } from '../tasks/image.js';
import { imageSizeOfBase64 } from '../tasks/image-size.js';
import { MAX_MASK_PIXELS, maskSizeOf } from '../tasks/masks.js';
import { promptText } from '../tasks/prompts.js';
import { targetsOf, taskNamed, type VersionSpec } from '../tasks/tasks.js';
import { MAX_TEXT_CHARACTERS } from '../tasks/text.js';
import { charactersTokenized, estimateTokens } from '../tasks/token-count.js';
import { type Work, workOfImage } from '../tasks/work.js';

/** Of each input, besides what its contents cost. */
const INPUT_POINTS = 5;
/** Of each image, however small. */
const IMAGE_POINTS = 2;
/** Of an image that is decoded or resized. */
const POINTS_PER_MEGAPIXEL = 64;
/** Of an image as the graph reads it, besides the operations of the graph. */
const POINTS_PER_GRAPH_MEGAPIXEL = 256;
/** Of a score that is interpolated for a mask, with its share of the run lengths: measured were 20 to 46 ns on a busy machine, where the resizing of images was three times slower than usual. */
const POINTS_PER_MILLION_MASK_VALUES = 150;
/** Of a token that the graph reads, besides the operations of the graph. */
const POINTS_PER_TOKEN = 0.05;
/** Of a text that is tokenized. */
const POINTS_PER_CHARACTER_TOKENIZED = 0.003;
const POINTS_PER_TOKEN_TOKENIZED = 0.01;
const POINTS_PER_COLUMN = 0.005;
/** A value in a JSON list, and a byte that is decoded and sent to a worker. */
const POINTS_PER_VALUE = 0.004;
const POINTS_PER_BYTE = 1 / 65_536;
/** Of the graph. A core computes this many in 50 µs: measured were 1.4 to 6.8 million, depending on the kind of graph. */
const OPERATIONS_PER_POINT = 2_000_000;
/** Of an input or outputs that are recorded. */
const BYTES_PER_POINT_RECORDED = 16_384;
/** Of outputs that are returned as they are: they are sent to the server, selected or not. */
const BYTES_PER_POINT_OF_OUTPUTS = 16_384;
const BYTES_PER_OUTPUT_VALUE = 4;
/** Dimensions of an embedding that the graph does not state. */
const DEFAULT_OUTPUT_VALUES = 1_024;
/** Of a version that does not exist. */
const DEFAULT_TARGETS = 32;
/** More inputs than this are refused before they are read. */
const MAX_MEASURED_INPUTS = 2_000;

/** The version that the argument `input` names. */
export function versionOf({ input }: Args): VersionName | null {
  const { model, variant } = recordOf(input);
  return typeof model === 'string' ? { model, variant: typeof variant === 'string' ? variant : null } : null;
}

/** For `predict`. */
export function runOf({ input }: Args, spec: VersionSpec | null): Runs {
  const { input: one, record } = recordOf(input);
  return runsOf([one], spec, record !== false);
}

/** For `predictMany`. */
export function runsOfMany({ input }: Args, spec: VersionSpec | null): Runs {
  const { inputs, record } = recordOf(input);
  return runsOf(listOf(inputs), spec, record !== false);
}

function runsOf(inputs: readonly unknown[], spec: VersionSpec | null, record: boolean): Runs {
  const total = new Contents(spec);
  const measured = inputs.slice(0, MAX_MEASURED_INPUTS);
  for (const input of measured) total.add(recordOf(input));
  const count = Math.max(1, inputs.length);
  const prediction = total.mean(count);
  const outputBytes = total.hasTensors ? count * prediction.outputValues * BYTES_PER_OUTPUT_VALUE : 0;
  const recordedBytes = record ? total.bytes + total.repeatedBytes + outputBytes : 0;
  return {
    points:
      count * INPUT_POINTS +
      total.points +
      outputBytes / BYTES_PER_POINT_OF_OUTPUTS +
      recordedBytes / BYTES_PER_POINT_RECORDED,
    inputs: count,
    largestComputation: total.largestComputation,
    prediction,
  };
}

/** Sums over the inputs of a request. */
class Contents {
  points = 0;
  bytes = 0;
  /** Points for the operations of the graph, of the input that needs most of them. */
  largestComputation = 0;
  hasTensors = false;
  /** Of the inputs, in the answers. */
  repeatedBytes = 0;
  #operations = 0;
  #characters = 0;
  #tokens = 0;
  #labels = 0;
  #sentences = 0;
  #documents = 0;
  #values = 0;
  readonly #spec: VersionSpec | null;

  constructor(spec: VersionSpec | null) {
    this.#spec = spec;
  }

  add(input: Readonly<Record<string, unknown>>): void {
    this.#operations = 0;
    this.#addParts(input);
    const computation = this.#operations / OPERATIONS_PER_POINT;
    this.points += computation;
    this.largestComputation = Math.max(this.largestComputation, computation);
  }

  #addParts(input: Readonly<Record<string, unknown>>): void {
    const { row, series, text, promptedText, image, tensors, question, similarity, zeroShot, ranking } = input;
    if (typeof text === 'string') this.#addText(text, 1);
    if (promptedText != null) this.#addPromptedText(recordOf(promptedText));
    if (row != null) this.#addRow(row);
    if (series != null) this.#addSeries(recordOf(series)['values']);
    if (image != null) this.#addImage(recordOf(image)['base64']);
    if (tensors != null) for (const tensor of listOf(tensors)) this.#addTensor(recordOf(tensor));
    if (question != null) this.#addQuestion(recordOf(question));
    if (similarity != null) this.#addSimilarity(recordOf(similarity));
    if (zeroShot != null) this.#addZeroShot(recordOf(zeroShot));
    if (ranking != null) this.#addRanking(recordOf(ranking));
  }

  mean(count: number): PredictionSize {
    const targets = this.#spec ? targetsOf(this.#spec) : [];
    return {
      inputBytes: this.bytes / count,
      characters: REPEATING.some((kind) => mayAnswer(this.#spec, kind)) ? this.#characters / count : 0,
      tokens: mayAnswer(this.#spec, 'tokens') ? this.#tokens / count : 0,
      labels: Math.max(
        this.#spec?.labels.length ?? 0,
        this.#labels / count,
        ...targets.map(({ labels }) => labels.length),
      ),
      targets: this.#spec ? targets.length : DEFAULT_TARGETS,
      sentences: this.#sentences / count,
      documents: this.#documents / count,
      objects: mayAnswer(this.#spec, 'detections') ? MAX_OBJECTS : 0,
      outputValues: outputValues(this.#spec, this.#values / count, this.hasTensors),
    };
  }

  /**
   * `reads`: how many times the model reads the text. A longer text is refused before it is read. `before`: the
   * prompt that stands before it.
   */
  #addText(value: unknown, reads: number, before = this.#prompt()): void {
    const text = before + (typeof value === 'string' ? value.slice(0, MAX_TEXT_CHARACTERS) : '');
    const tokens = estimateTokens(text, this.#spec?.text?.characters);
    const tokenized = tokenizedShare(this.#spec, text);
    const tokensOfGraph = reads * tokensRead(this.#spec, tokens);
    this.bytes += lengthOf(value);
    this.#characters += text.length;
    this.#tokens += tokens;
    this.#values += tokens;
    this.points +=
      lengthOf(value) * POINTS_PER_BYTE +
      tokenized * (text.length * POINTS_PER_CHARACTER_TOKENIZED + tokens * POINTS_PER_TOKEN_TOKENIZED) +
      tokensOfGraph * POINTS_PER_TOKEN;
    // The inputs of the graph, such as ids and mask, have a value for each token.
    this.#addValues(tokensOfGraph * (this.#spec?.inputs.length ?? 1));
  }

  /** The text of a prompt by its name; of the default prompt without one. */
  #prompt(name: unknown = null): string {
    return this.#spec ? promptText(this.#spec, typeof name === 'string' ? name : null) : '';
  }

  /** Values of the inputs of the graph. */
  #addValues(count: number): void {
    this.#operations += count * (this.#spec?.operationsPerValue ?? 0);
  }

  #addRow(row: unknown): void {
    const columns = Object.keys(recordOf(row)).length + (this.#spec?.columns.length ?? 0);
    this.bytes += 32 * columns;
    this.#values += columns;
    this.points += columns * POINTS_PER_COLUMN;
    for (const { shape } of this.#spec?.inputs ?? []) this.#addValues(knownValues(shape));
  }

  #addSeries(values: unknown): void {
    const count = lengthOfNested(values);
    this.bytes += 8 * count;
    this.#values += count;
    this.points += count * POINTS_PER_VALUE;
    this.#addValues(count);
  }

  #addImage(base64: unknown): void {
    const bytes = lengthOf(base64);
    const { work, preprocessingWork } = workOf(typeof base64 === 'string' ? base64 : '', this.#spec);
    this.bytes += bytes;
    this.#values += preprocessingWork + work;
    this.points +=
      IMAGE_POINTS +
      bytes * POINTS_PER_BYTE +
      (preprocessingWork / 1e6) * POINTS_PER_MEGAPIXEL +
      (work / 1e6) * POINTS_PER_GRAPH_MEGAPIXEL;
    this.#addValues(work * valuesPerPixel(this.#spec));
    if (this.#spec && mayAnswer(this.#spec, 'masks')) this.#addMasks(base64);
  }

  /** Of a score of each label for each pixel of the masks. */
  #addMasks(base64: unknown): void {
    const labels = this.#spec?.labels.length ?? 1;
    const size = typeof base64 === 'string' ? imageSizeOfBase64(fileOf(base64)) : null;
    const { width, height } = maskSizeOf(size ?? LARGEST_MASK, labels);
    this.points += ((width * height * labels) / 1e6) * POINTS_PER_MILLION_MASK_VALUES;
  }

  #addTensor({ base64, data, datatype }: Readonly<Record<string, unknown>>): void {
    const bytes = lengthOf(base64);
    const values = lengthOfNested(data);
    this.hasTensors = true;
    this.bytes += bytes + 8 * values;
    this.#values += bytes / 4 + values;
    this.points += bytes * POINTS_PER_BYTE + values * POINTS_PER_VALUE;
    this.#addValues((bytes * BYTES_PER_CHARACTER_OF_BASE64) / bytesEach(datatype) + values);
  }

  #addQuestion({ question, context }: Readonly<Record<string, unknown>>): void {
    this.#addText(question, 1);
    this.#addText(context, 1);
  }

  #addPromptedText({ text, prompt }: Readonly<Record<string, unknown>>): void {
    this.#addText(text, 1, this.#prompt(prompt));
  }

  #addSimilarity({ source, sentences, sourcePrompt, sentencesPrompt }: Readonly<Record<string, unknown>>): void {
    const list = listOf(sentences);
    this.#addText(source, 1, this.#prompt(sourcePrompt));
    for (const sentence of list) this.#addText(sentence, 1, this.#prompt(sentencesPrompt));
    this.#sentences += list.length;
  }

  #addZeroShot({ text, labels }: Readonly<Record<string, unknown>>): void {
    const list = listOf(labels);
    this.#addText(text, list.length);
    for (const label of list) this.#addText(label, 1);
    this.#labels += list.length;
  }

  /** The answer repeats the documents. */
  #addRanking({ query, documents, prompt }: Readonly<Record<string, unknown>>): void {
    const list = listOf(documents);
    this.#addText(query, list.length, this.#prompt(prompt));
    for (const document of list) {
      this.#addText(document, 1, '');
      this.repeatedBytes += lengthOf(document);
    }
    this.#documents += list.length;
  }
}

/** Answers that repeat texts of the input. */
const REPEATING = ['fillings', 'ranking'] as const;

const BYTES_PER_CHARACTER_OF_BASE64 = 3 / 4;

function bytesEach(datatype: unknown): number {
  return (typeof datatype === 'string' && DATATYPES[datatype]?.bytes) || 1;
}

function valuesPerPixel(spec: VersionSpec | null): number {
  if (!spec?.image) return 1;
  const masks = spec.inputs.length - 1;
  return (spec.image.color === 'grey' ? 1 : 3) + masks;
}

/** How much of a text is tokenized, as a share of it; above 1 if parts of it are tokenized twice. */
function tokenizedShare(spec: VersionSpec | null, text: string): number {
  if (!spec?.text || text === '') return 1;
  const isWhole = spec.text.longInputs === 'windows' || taskNamed(spec.task).tokens?.tokenizesAll === true;
  return isWhole ? 1 : charactersTokenized(text, spec.text.maxTokens) / text.length;
}

/** How JPEG, PNG and WebP files begin. Others are refused. */
const ACCEPTED_IMAGE = /^(\/9j\/|iVBORw0KGg|UklGR)/;

const LARGEST_MASK = { width: Math.sqrt(MAX_MASK_PIXELS), height: Math.sqrt(MAX_MASK_PIXELS) };

/** Without the beginning of a data: URL. */
function fileOf(base64: string): string {
  return base64.startsWith('data:') ? base64.slice(base64.indexOf(',') + 1) : base64;
}

/** Pixels that are decoded and resized, and that the graph reads. An image with more is refused, also after resizing. */
function workOf(base64: string, spec: VersionSpec | null): Work {
  const file = fileOf(base64);
  const size = imageSizeOfBase64(file);
  if (!size) return { work: 0, preprocessingWork: ACCEPTED_IMAGE.test(file) ? MAX_IMAGE_PIXELS : 0 };
  const sent = size.width * size.height;
  if (sent > MAX_IMAGE_PIXELS) return { work: 0, preprocessingWork: 0 };
  if (!spec?.image) return { work: 0, preprocessingWork: sent };
  const { work, preprocessingWork } = workOfImage(size, spec.image);
  return {
    work: Math.min(work, MAX_IMAGE_PIXELS),
    preprocessingWork: Math.min(preprocessingWork, 2 * MAX_IMAGE_PIXELS),
  };
}

/** Tokens that run, of a text with this many. */
function tokensRead(spec: VersionSpec | null, tokens: number): number {
  if (!spec?.text) return 0;
  const { maxTokens, longInputs, stride } = spec.text;
  if (longInputs === 'truncate') return Math.min(tokens, maxTokens);
  // Neighboring windows share `stride` tokens.
  return tokens * (maxTokens / Math.max(maxTokens / 8, maxTokens - stride));
}

/**
 * Values that an answer returns. In tensors, dimensions of any size are assumed to be as large together as those of the
 * input; the first one counts only if the caller sends tensors, because it is the row of the batch otherwise.
 */
function outputValues(spec: VersionSpec | null, inputValues: number, hasTensors: boolean): number {
  if (!spec) return DEFAULT_OUTPUT_VALUES;
  const isListed = mayAnswer(spec, 'tensors');
  if (!isListed && !mayAnswer(spec, 'embedding')) return 0;
  const open = isListed
    ? Math.max(1, inputValues / Math.max(1, Math.min(...spec.inputs.map(({ shape }) => knownValues(shape)))))
    : 1;
  return spec.outputs.reduce((sum, { shape }) => {
    const isOpen = shape.includes(null, hasTensors ? 0 : 1);
    const isUnknown = !isListed && shape.at(-1) === null;
    return sum + knownValues(shape) * (isUnknown ? DEFAULT_OUTPUT_VALUES : isOpen ? open : 1);
  }, 0);
}

function mayAnswer(spec: VersionSpec | null, kind: Answer['kind']): boolean {
  return !spec || taskNamed(spec.task).answers.includes(kind);
}

function knownValues(shape: readonly (number | null)[]): number {
  return shape.reduce<number>((product, size) => product * (size ?? 1), 1);
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

/** GraphQL accepts one element in place of a list. */
function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

function lengthOf(value: unknown): number {
  return typeof value === 'string' ? value.length : 0;
}

/** The number of values in a nested list, as if all lists of a level were as long as the first. */
function lengthOfNested(value: unknown): number {
  let length = 1;
  for (let list = value; Array.isArray(list); list = list[0]) length *= list.length;
  return length;
}
