/**
 * What an input contains, as far as its price needs it. Nothing is decoded, and only lengths are read, so the input need
 * not be valid.
 *
 * A variable can be in hundreds of places of a document. So the contents of each object and list are measured once for a
 * spec, and remembered as long as the object lives, which is as long as its request.
 */
import { DATATYPES } from '../tasks/datatypes.js';
import { MAX_IMAGE_PIXELS, splitDataUrl } from '../tasks/image.js';
import { imageSizeOfBase64 } from '../tasks/image-size.js';
import { MAX_STEPS } from '../tasks/image-to-text.js';
import { MAX_MASK_PIXELS, maskSizeOf } from '../tasks/masks.js';
import { promptText } from '../tasks/prompts.js';
import { taskNamed, type VersionSpec } from '../tasks/tasks.js';
import { MAX_SIZE_WITHOUT_VALUES } from '../tasks/tensors.js';
import { MAX_TEXT_CHARACTERS } from '../tasks/text.js';
import { charactersTokenized, estimateTokens } from '../tasks/token-count.js';
import { type Work, workOfImage } from '../tasks/work.js';
import { bytesOfOutputs, knownValues, mayAnswer } from './output-size.js';

/** Of each image, however small. */
const IMAGE_POINTS = 2;
/** Of an image that is decoded or resized. */
const POINTS_PER_MEGAPIXEL = 64;
/** Of an image as the graph reads it, besides the operations of the graph. */
const POINTS_PER_GRAPH_MEGAPIXEL = 256;
/**
 * Of a score that is interpolated for a mask, with its share of the run lengths: measured were 20 to 46 ns on a busy machine,
 * where the resizing of images was three times slower than usual.
 */
const POINTS_PER_MILLION_MASK_VALUES = 150;
/** Of a score of a character, of which each step has one for each character. */
const POINTS_PER_MILLION_CHARACTER_SCORES = 60;
/** Of a token that the graph reads, besides the operations of the graph. */
const POINTS_PER_TOKEN = 0.05;
/** Of a text that is tokenized. */
const POINTS_PER_CHARACTER_TOKENIZED = 0.003;
const POINTS_PER_TOKEN_TOKENIZED = 0.01;
const POINTS_PER_COLUMN = 0.005;
/** A value in a JSON list, and a byte that is decoded and sent to a worker. */
const POINTS_PER_VALUE = 0.004;
const POINTS_PER_BYTE = 1 / 65_536;

/** Sums over the parts of an input, or over inputs. */
export class Contents {
  /** Without those for the operations of the graph. */
  points = 0;
  bytes = 0;
  /** Of the graph. */
  operations = 0;
  characters = 0;
  tokens = 0;
  labels = 0;
  sentences = 0;
  documents = 0;
  /** Of the inputs, in the answers. */
  repeatedBytes = 0;
  /** Inputs of tensors. */
  tensors = 0;
  /** Of the outputs for inputs of tensors. */
  outputBytes = 0;

  add(other: Contents): void {
    this.points += other.points;
    this.bytes += other.bytes;
    this.operations += other.operations;
    this.characters += other.characters;
    this.tokens += other.tokens;
    this.labels += other.labels;
    this.sentences += other.sentences;
    this.documents += other.documents;
    this.repeatedBytes += other.repeatedBytes;
    this.tensors += other.tensors;
    this.outputBytes += other.outputBytes;
  }
}

type Measure = (value: unknown) => Contents;

/** Calls `measure` once for each object and list. */
function once(measure: Measure): Measure {
  const known = new WeakMap<object, Contents>();
  return (value) => {
    if (typeof value !== 'object' || value === null) return measure(value);
    const contents = known.get(value) ?? measure(value);
    known.set(value, contents);
    return contents;
  };
}

const bySpec = new WeakMap<VersionSpec, Measure>();
const withoutSpec = measureOf(null);

/** What an input contains for a version; null: for one that does not exist. */
export function contentsOf(input: unknown, spec: VersionSpec | null): Contents {
  if (!spec) return withoutSpec(input);
  const measure = bySpec.get(spec) ?? measureOf(spec);
  bySpec.set(spec, measure);
  return measure(input);
}

/** Each kind of part has its own memory, because one list can be in places of different kinds. */
function measureOf(spec: VersionSpec | null): Measure {
  const parts: readonly (readonly [key: string, measure: Measure])[] = [
    ['text', (text) => contentsOfText(spec, text, 1)],
    ['promptedText', once((prompted) => contentsOfPromptedText(spec, recordOf(prompted)))],
    ['row', once((row) => contentsOfRow(spec, row))],
    ['series', once((series) => contentsOfSeries(spec, recordOf(series)['values']))],
    ['image', once((image) => contentsOfImage(spec, recordOf(image)['base64']))],
    ['bytes', (file) => contentsOfFile(spec, file)],
    ['tensors', once((tensors) => contentsOfTensors(spec, listOf(tensors)))],
    ['question', once((question) => contentsOfQuestion(spec, recordOf(question)))],
    ['similarity', once(similarityMeasure(spec))],
    ['zeroShot', once(zeroShotMeasure(spec))],
    ['ranking', once(rankingMeasure(spec))],
  ];
  return once((input) => {
    const values = recordOf(input);
    const contents = new Contents();
    for (const [key, measure] of parts) if (values[key] != null) contents.add(measure(values[key]));
    return contents;
  });
}

/**
 * `reads`: how many times the model reads the text. A longer text is refused before it is read. `before`: the prompt that
 * stands before it.
 */
function contentsOfText(spec: VersionSpec | null, value: unknown, reads: number, before = promptOf(spec)): Contents {
  const text = before + (typeof value === 'string' ? value.slice(0, MAX_TEXT_CHARACTERS) : '');
  const contents = new Contents();
  contents.tokens = estimateTokens(text, spec?.text?.characters);
  contents.bytes = lengthOf(value);
  contents.characters = text.length;
  const tokensOfGraph = reads * tokensRead(spec, contents.tokens);
  contents.points =
    contents.bytes * POINTS_PER_BYTE +
    tokenizedShare(spec, text) *
      (text.length * POINTS_PER_CHARACTER_TOKENIZED + contents.tokens * POINTS_PER_TOKEN_TOKENIZED) +
    tokensOfGraph * POINTS_PER_TOKEN;
  // The inputs of the graph, such as ids and mask, have a value for each token.
  contents.operations = operationsOf(spec, tokensOfGraph * (spec?.inputs.length ?? 1));
  return contents;
}

/** The text of a prompt by its name; of the default prompt without one. */
function promptOf(spec: VersionSpec | null, name: unknown = null): string {
  return spec ? promptText(spec, typeof name === 'string' ? name : null) : '';
}

function contentsOfPromptedText(spec: VersionSpec | null, { text, prompt }: Readonly<Record<string, unknown>>) {
  return contentsOfText(spec, text, 1, promptOf(spec, prompt));
}

function contentsOfTexts(spec: VersionSpec | null, texts: readonly unknown[], before = promptOf(spec)): Contents {
  const contents = new Contents();
  for (const text of texts) contents.add(contentsOfText(spec, text, 1, before));
  return contents;
}

function contentsOfQuestion(spec: VersionSpec | null, { question, context }: Readonly<Record<string, unknown>>) {
  return contentsOfTexts(spec, [question, context]);
}

function similarityMeasure(spec: VersionSpec | null): Measure {
  const byPrompt = measureByPrompt((sentences, prompt) => contentsOfTexts(spec, listOf(sentences), prompt));
  return (value) => {
    const { source, sentences, sourcePrompt, sentencesPrompt } = recordOf(value);
    const contents = contentsOfText(spec, source, 1, promptOf(spec, sourcePrompt));
    contents.add(byPrompt(promptOf(spec, sentencesPrompt))(sentences));
    contents.sentences = listOf(sentences).length;
    return contents;
  };
}

/** The model reads the text once for each label. */
function zeroShotMeasure(spec: VersionSpec | null): Measure {
  const labelsMeasure = once((labels) => contentsOfTexts(spec, listOf(labels)));
  return (value) => {
    const { text, labels } = recordOf(value);
    const contents = contentsOfText(spec, text, listOf(labels).length);
    contents.add(labelsMeasure(labels));
    contents.labels = listOf(labels).length;
    return contents;
  };
}

/** One list may be in places with different prompts, of which a version has at most 256. */
function measureByPrompt(measure: (value: unknown, prompt: string) => Contents): (prompt: string) => Measure {
  const measures = new Map<string, Measure>();
  return (prompt) => {
    const known = measures.get(prompt) ?? once((value) => measure(value, prompt));
    measures.set(prompt, known);
    return known;
  };
}

/** The model reads the query once for each document. The answer repeats the documents. */
function rankingMeasure(spec: VersionSpec | null): Measure {
  const documentsMeasure = once((documents) => contentsOfTexts(spec, listOf(documents), ''));
  return (value) => {
    const { query, documents, prompt } = recordOf(value);
    const list = listOf(documents);
    const contents = contentsOfText(spec, query, list.length, promptOf(spec, prompt));
    const ofDocuments = documentsMeasure(documents);
    contents.add(ofDocuments);
    contents.documents = list.length;
    contents.repeatedBytes = ofDocuments.bytes;
    return contents;
  };
}

function contentsOfSeries(spec: VersionSpec | null, series: unknown): Contents {
  const contents = new Contents();
  const { values, characters } = sizeOfJson(series);
  contents.bytes = 8 * values + characters;
  contents.points = values * POINTS_PER_VALUE + characters * POINTS_PER_BYTE;
  contents.operations = operationsOf(spec, values);
  return contents;
}

function contentsOfRow(spec: VersionSpec | null, row: unknown): Contents {
  const contents = new Contents();
  const columns = Object.keys(recordOf(row)).length + (spec?.columns.length ?? 0);
  const { values, characters } = sizeOfJson(row);
  contents.bytes = 32 * columns + characters;
  contents.points = columns * POINTS_PER_COLUMN + values * POINTS_PER_VALUE + characters * POINTS_PER_BYTE;
  for (const { shape } of spec?.inputs ?? []) contents.operations += operationsOf(spec, knownValues(shape));
  return contents;
}

function contentsOfImage(spec: VersionSpec | null, base64: unknown): Contents {
  const contents = new Contents();
  const { work, preprocessingWork } = workOf(typeof base64 === 'string' ? base64 : '', spec);
  contents.bytes = lengthOf(base64);
  contents.points =
    IMAGE_POINTS +
    contents.bytes * POINTS_PER_BYTE +
    (preprocessingWork / 1e6) * POINTS_PER_MEGAPIXEL +
    (work / 1e6) * POINTS_PER_GRAPH_MEGAPIXEL;
  contents.operations = operationsOf(spec, work * valuesPerPixel(spec));
  if (spec && mayAnswer(spec, 'masks')) contents.points += pointsOfMasks(spec, base64);
  if (spec && mayAnswer(spec, 'text')) contents.points += pointsOfReading(spec, work);
  return contents;
}

/** Of a file, only the parts that the graph reads are sent to a worker. */
function contentsOfFile(spec: VersionSpec | null, file: unknown): Contents {
  const contents = new Contents();
  const { begin = 0, end = 0 } = spec?.bytes ?? {};
  contents.bytes = lengthOf(file);
  contents.points = contents.bytes * POINTS_PER_BYTE + (begin + end) * POINTS_PER_VALUE;
  contents.operations = operationsOf(spec, begin + end);
  return contents;
}

const LARGEST_MASK = { width: Math.sqrt(MAX_MASK_PIXELS), height: Math.sqrt(MAX_MASK_PIXELS) };

/** Of a score of each label for each pixel of the masks. */
function pointsOfMasks({ labels }: VersionSpec, base64: unknown): number {
  const size = typeof base64 === 'string' ? imageSizeOfBase64(splitDataUrl(base64).base64) : null;
  const { width, height } = maskSizeOf(size ?? LARGEST_MASK, labels.length);
  return ((width * height * labels.length) / 1e6) * POINTS_PER_MILLION_MASK_VALUES;
}

/** Columns of pixels for which a graph scores the characters once: 8 in those of PaddleOCR. */
const COLUMNS_PER_STEP = 4;

/** Of the best character in each step. */
function pointsOfReading({ labels, image }: VersionSpec, pixels: number): number {
  const height = image?.resize?.kind === 'height' ? image.resize.height : 1;
  const steps = Math.min(MAX_STEPS, pixels / height / COLUMNS_PER_STEP);
  return ((steps * labels.length) / 1e6) * POINTS_PER_MILLION_CHARACTER_SCORES;
}

function contentsOfTensors(spec: VersionSpec | null, tensors: readonly unknown[]): Contents {
  const contents = new Contents();
  let all = 0;
  let largestSize = 1;
  for (const tensor of tensors) {
    const { base64, data, datatype, shape } = recordOf(tensor);
    const { values, characters } = data == null ? { values: 0, characters: 0 } : sizeOfJson(data);
    const sent = lengthOf(base64) + characters;
    contents.bytes += sent + 8 * values;
    contents.points += sent * POINTS_PER_BYTE + values * POINTS_PER_VALUE;
    const own = (lengthOf(base64) * BYTES_PER_CHARACTER_OF_BASE64) / bytesEach(datatype) + values;
    all += own;
    largestSize = Math.max(largestSize, largestSizeOf(listOf(shape), own));
  }
  contents.tensors = 1;
  contents.operations = operationsOf(spec, all);
  contents.outputBytes = spec ? bytesOfOutputs(spec, { values: all, largestSize }) : 0;
  return contents;
}

/** A size beyond the number of values is refused, unless another size is zero. */
function largestSizeOf(shape: readonly unknown[], values: number): number {
  const sizes = shape.filter((size) => typeof size === 'number');
  return Math.min(Math.max(1, ...sizes), sizes.includes(0) ? MAX_SIZE_WITHOUT_VALUES : Math.max(1, values));
}

/** `values`: numbers, strings, lists and objects in a JSON value. `characters`: of all strings and keys. */
export function sizeOfJson(value: unknown): { readonly values: number; readonly characters: number } {
  let values = 0;
  let characters = 0;
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    values++;
    if (typeof next === 'string') characters += next.length;
    else if (Array.isArray(next)) for (const element of next) open.push(element);
    else if (typeof next === 'object' && next !== null) {
      for (const key of Object.keys(next)) {
        characters += key.length;
        open.push((next as Readonly<Record<string, unknown>>)[key]);
      }
    }
  }
  return { values, characters };
}

function operationsOf(spec: VersionSpec | null, valuesOfGraph: number): number {
  return valuesOfGraph * (spec?.operationsPerValue ?? 0);
}

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

/** Pixels that are decoded and resized, and that the graph reads. An image with more is refused, also after resizing. */
function workOf(base64: string, spec: VersionSpec | null): Work {
  const { base64: file } = splitDataUrl(base64);
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

export function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

/** GraphQL accepts one element in place of a list. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

function lengthOf(value: unknown): number {
  return typeof value === 'string' ? value.length : 0;
}
