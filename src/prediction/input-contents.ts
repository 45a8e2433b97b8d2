/**
 * What an input contains, as far as its price needs it. Nothing is decoded, and only lengths are read, so the input need
 * not be valid.
 *
 * A variable can be in hundreds of places of a document. So the contents of each object and list are measured once for a
 * spec, and remembered as long as the object lives, which is as long as its request.
 */
import { MAX_ROWS } from '../tasks/bulk.js';
import { DATATYPES } from '../tasks/datatypes.js';
import { LARGEST_IMAGE, MAX_IMAGE_PIXELS, splitDataUrl } from '../tasks/image.js';
import { type ImageSize, imageSizeOfBase64 } from '../tasks/image-size.js';
import { MAX_STEPS } from '../tasks/image-to-text.js';
import { MAX_MASK_PIXELS, maskSizeOf } from '../tasks/masks.js';
import { rowInputs } from '../tasks/numeric.js';
import { taskNamed, type VersionSpec } from '../tasks/tasks.js';
import { MAX_SIZE_WITHOUT_VALUES } from '../tasks/tensors.js';
import { type Work, workOfImage } from '../tasks/work.js';
import {
  Contents,
  lengthOf,
  listOf,
  type Measure,
  once,
  operationsOf,
  POINTS_PER_BYTE,
  recordOf,
  sizeOfJson,
  stringOf,
} from './contents.js';
import { bytesOfOutputs, knownValues, mayAnswer, scoresOf } from './output-size.js';
import { MAX_NAMED_IMAGE_BYTES } from './request-limits.js';
import { pointsOfString, textMeasures } from './text-contents.js';

/** Of each image, however small. */
const IMAGE_POINTS = 2;
/** Of an image that is decoded or resized. */
const POINTS_PER_MEGAPIXEL = 128;
/** Of an image as the graph reads it, besides the operations of the graph. */
const POINTS_PER_GRAPH_MEGAPIXEL = 256;
/**
 * Of a score that is interpolated for a mask, with its share of the run lengths. On a busy machine, a million took 2.4 to 4.2 ms
 * of CPU time (50 to 85 points) if the graph returns 64 x 64 cells, and 12 to 22 ms (230 to 440 points) if it returns as many
 * cells as the mask has pixels.
 */
const POINTS_PER_MILLION_MASK_VALUES = 150;
/** Of a score of a character, of which each step has one for each character. */
const POINTS_PER_MILLION_CHARACTER_SCORES = 60;
/** Of a box that is compared with up to 300 others: measured were 1.8 µs for the slowest, and most are compared with few. */
const POINTS_PER_COMPARED_BOX = 0.02;
/** Of a value of the outputs that is read: measured were up to 85 ns, for the scores of boxes that are all candidates. */
const POINTS_PER_VALUE_READ = 0.0004;
/** Of a score in an answer: measured were 140 to 190 ns in the worker and the server. */
const POINTS_PER_SCORE = 0.002;
const POINTS_PER_COLUMN = 0.005;
/** Of a tensor, however small. */
const POINTS_PER_TENSOR = 0.1;
/** A value in a JSON list. */
const POINTS_PER_VALUE = 0.004;

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
    ...textMeasures(spec),
    ['row', once((row) => contentsOfRow(spec, row))],
    ['series', once((series) => contentsOfSeries(spec, recordOf(series)['values']))],
    ['image', once((image) => contentsOfImage(spec, recordOf(image)))],
    ['bytes', (file) => contentsOfFile(spec, file)],
    ['tensors', once((tensors) => contentsOfTensors(spec, listOf(tensors)))],
  ];
  const { valuesRead, scores } = spec ? scoresOf(spec) : { valuesRead: 0, scores: 0 };
  const pointsOfScores = ({ labels, sentences, documents, tokens }: Contents) => {
    const rows = Math.max(1, labels, sentences + 1, documents);
    const scored = spec && mayAnswer(spec, 'tokens') ? tokens * spec.labels.length : scores;
    return rows * valuesRead * POINTS_PER_VALUE_READ + scored * POINTS_PER_SCORE;
  };
  return once((input) => {
    const values = recordOf(input);
    const contents = new Contents();
    for (const [key, measure] of parts) if (values[key] != null) contents.add(measure(values[key]));
    contents.points += pointsOfScores(contents);
    return contents;
  });
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
  // A category is compared with those that are known, and never reaches the graph if it is another text.
  for (const { name, type } of readsStrings(spec) ? (spec?.columns ?? []) : [])
    if (type === 'TEXT') contents.points += pointsOfString(recordOf(row)[name]);
  for (const { shape } of spec?.inputs ?? []) contents.operations += operationsOf(spec, knownValues(shape));
  return contents;
}

/** What rows that are sent together contain, and whether they can run in blocks. */
interface ContentsOfRows {
  /** At least 1. */
  readonly count: number;
  readonly areNumbers: boolean;
  readonly contents: Contents;
}

export function contentsOfRows(rows: unknown, spec: VersionSpec | null): ContentsOfRows {
  const { columns, tensors } = recordOf(rows);
  const areTensors = columns == null;
  const areNumbers = spec !== null && rowInputs(spec) !== null;
  if (areTensors) return { ...contentsOfStacked(listOf(tensors), spec), areNumbers };
  const lists = Object.values(recordOf(columns));
  const longest = lists.reduce<number>((most, list) => Math.max(most, Array.isArray(list) ? list.length : 1), 1);
  // More are refused before they are read.
  const count = Math.min(longest, 2 * MAX_ROWS);
  const contents = new Contents();
  const { values, characters } = sizeOfJson(columns);
  const perRow = lists.length + (spec?.columns.length ?? 0);
  contents.bytes = count * (32 * perRow + charactersOfKeys(columns)) + characters;
  contents.points = values * POINTS_PER_VALUE + characters * POINTS_PER_BYTE;
  if (!areNumbers) contents.points += count * perRow * POINTS_PER_COLUMN;
  if (readsStrings(spec)) contents.points += pointsOfStrings(lists);
  for (const { shape } of spec?.inputs ?? []) contents.operations += operationsOf(spec, count * knownValues(shape));
  addScores(contents, count, spec);
  return { count, areNumbers, contents };
}

function charactersOfKeys(columns: unknown): number {
  return Object.keys(recordOf(columns)).reduce((sum, { length }) => sum + length, 0);
}

function contentsOfStacked(tensors: readonly unknown[], spec: VersionSpec | null) {
  const contents = contentsOfTensors(spec, tensors);
  const [first] = listOf(recordOf(tensors[0])['shape']);
  const count = typeof first === 'number' ? Math.min(Math.max(1, first), 2 * MAX_ROWS) : 1;
  contents.tensors = count;
  // Each row is recorded with its names and shape.
  contents.bytes += 128 * count * tensors.length;
  addScores(contents, count, spec);
  return { count, contents };
}

function addScores(contents: Contents, count: number, spec: VersionSpec | null): void {
  if (!spec) return;
  const { valuesRead, scores } = scoresOf(spec);
  contents.points += count * (valuesRead * POINTS_PER_VALUE_READ + scores * POINTS_PER_SCORE);
}

function contentsOfImage(spec: VersionSpec | null, { base64 }: Readonly<Record<string, unknown>>): Contents {
  const contents = new Contents();
  // One that is named may be the largest that is accepted.
  const isNamed = base64 == null;
  const { work, preprocessingWork } = isNamed ? workOfSize(LARGEST_IMAGE, spec) : workOf(stringOf(base64), spec);
  contents.bytes = isNamed ? MAX_NAMED_IMAGE_BYTES : lengthOf(base64);
  contents.points =
    IMAGE_POINTS +
    contents.bytes * POINTS_PER_BYTE +
    (preprocessingWork / 1e6) * POINTS_PER_MEGAPIXEL +
    (work / 1e6) * POINTS_PER_GRAPH_MEGAPIXEL;
  contents.operations = operationsOf(spec, work * valuesPerPixel(spec));
  if (spec && mayAnswer(spec, 'masks')) contents.points += pointsOfMasks(spec, base64);
  if (spec) contents.points += (taskNamed(spec.task).comparedBoxes?.(spec) ?? 0) * POINTS_PER_COMPARED_BOX;
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
  const size = imageSizeOfBase64(splitDataUrl(stringOf(base64)).base64);
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
    const sizes = listOf(shape);
    contents.points += POINTS_PER_TENSOR + sent * POINTS_PER_BYTE + (values + sizes.length) * POINTS_PER_VALUE;
    if (readsStrings(spec)) contents.points += pointsOfStrings(data);
    const own = (lengthOf(base64) * BYTES_PER_CHARACTER_OF_BASE64) / bytesEach(datatype) + values;
    all += own;
    largestSize = Math.max(largestSize, largestSizeOf(sizes, own));
  }
  contents.tensors = 1;
  contents.operations = operationsOf(spec, all);
  contents.outputBytes = spec ? bytesOfOutputs(spec, { values: all, largestSize }) : 0;
  return contents;
}

/** Whether the graph itself tokenizes texts. */
function readsStrings(spec: VersionSpec | null): boolean {
  return spec?.inputs.some(({ datatype }) => datatype === 'BYTES') ?? false;
}

/** Of the strings in a list, flat or nested. */
const pointsOfStrings: Measure<number> = once((value) => {
  if (!Array.isArray(value)) return pointsOfString(value);
  return value.reduce<number>((sum, element) => sum + pointsOfStrings(element), 0);
});

/** A size beyond the number of values is refused, unless another size is zero. */
function largestSizeOf(shape: readonly unknown[], values: number): number {
  const sizes = shape.filter((size) => typeof size === 'number');
  return Math.min(Math.max(1, ...sizes), sizes.includes(0) ? MAX_SIZE_WITHOUT_VALUES : Math.max(1, values));
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

/** How JPEG, PNG and WebP files begin. Others are refused. */
const ACCEPTED_IMAGE = /^(\/9j\/|iVBORw0KGg|UklGR)/;

/** Pixels that are decoded and resized, and that the graph reads. An image with more is refused, also after resizing. */
function workOf(base64: string, spec: VersionSpec | null): Work {
  const { base64: file } = splitDataUrl(base64);
  const size = imageSizeOfBase64(file);
  if (!size) return { work: 0, preprocessingWork: ACCEPTED_IMAGE.test(file) ? MAX_IMAGE_PIXELS : 0 };
  return workOfSize(size, spec);
}

function workOfSize(size: ImageSize, spec: VersionSpec | null): Work {
  const sent = size.width * size.height;
  if (sent > MAX_IMAGE_PIXELS) return { work: 0, preprocessingWork: 0 };
  if (!spec?.image) return { work: 0, preprocessingWork: sent };
  const { work, preprocessingWork } = workOfImage(size, spec.image);
  return {
    work: Math.min(work, MAX_IMAGE_PIXELS),
    preprocessingWork: Math.min(preprocessingWork, 2 * MAX_IMAGE_PIXELS),
  };
}
