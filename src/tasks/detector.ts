/**
 * Detectors that choose and suppress boxes themselves, as exported from torchvision and from TensorFlow's Object Detection
 * API: one output each with boxes, their scores, and the index of their class.
 */
import { ManifestError } from '../errors.js';
import type { AnswerOf, DetectedObject } from './answer.js';
import { type BoxShape, boxAt, Candidates, MAX_OBJECTS, MIN_SCORE, suppressOverlaps } from './boxes.js';
import { floatOutput, outputNamed, type TensorData } from './datatypes.js';
import { UnusableOutputError } from './failures.js';
import type { ImageFrame } from './image.js';
import type { TaskSources } from './sources.js';
import type { TensorSpec } from './spec.js';
import { shapeText } from './tensors.js';

export interface DetectorHead extends BoxShape {
  readonly kind: 'detector';
  /** [boxes, 4], or [1, boxes, 4]. */
  readonly boxes: string;
  /** [boxes], or [1, boxes]. */
  readonly scores: string;
  readonly classes: string;
  /** The class that the first label stands for. */
  readonly firstClass: number;
  readonly threshold: number;
  readonly iou: number | null;
}

/** Names that TensorFlow's Object Detection API gives its outputs. */
const TENSORFLOW = { boxes: 'detection_boxes', scores: 'detection_scores', classes: 'detection_classes' } as const;
const TENSORFLOW_THRESHOLD = 0.5;

/** Null if no output has the class of each box. @throws ManifestError */
export function detectorHead(sources: TaskSources): DetectorHead | null {
  const { output, labels, facts } = sources;
  const classes = classesOutput(sources);
  if (!classes) return null;
  const rank = classes.shape.length;
  const floats = facts.outputs.filter(({ name, datatype }) => datatype.startsWith('FP') && name !== classes.name);
  const boxes = chosen(
    sources,
    'boxes',
    floats.filter(({ shape }) => shape.length === rank + 1),
    rank + 1,
  );
  const scores = chosen(
    sources,
    'scores',
    floats.filter(({ shape }) => shape.length === rank),
    rank,
  );
  const width = boxes.shape.at(-1);
  if (width != null && width !== 4)
    throw new ManifestError(
      `output "${boxes.name}" has shape ${shapeText(boxes.shape)}; boxes need 4 numbers each: name another output in output.boxes of model.yaml`,
    );
  if (labels.length === 0)
    throw new ManifestError(
      'model.yaml: labels is missing: list the classes by their index, the background (0) included, or set output.firstClass to 1 and leave it out',
    );
  const isTensorflow = boxes.name.startsWith(TENSORFLOW.boxes);
  return {
    kind: 'detector',
    boxes: boxes.name,
    scores: scores.name,
    classes: classes.name,
    firstClass: output.firstClass ?? (isTensorflow ? 1 : 0),
    format: output.boxFormat ?? (isTensorflow ? 'corners-yx' : 'corners'),
    unit: output.boxUnit ?? (isTensorflow ? 'fractions' : 'pixels'),
    // The graph itself leaves out boxes with a low score.
    threshold: output.threshold ?? (isTensorflow ? TENSORFLOW_THRESHOLD : 0),
    iou: output.iou ?? null,
  };
}

/** The output that model.yaml names, or that TensorFlow names so, or the only one with integers beside two with numbers. */
function classesOutput({ output, facts: { outputs } }: TaskSources): TensorSpec | null {
  if (output.classes !== undefined) {
    const named = outputs.find(({ name }) => name === output.classes);
    if (named) return named;
    const names = outputs.map(({ name }) => name).join(', ');
    throw new ManifestError(`model.yaml: output.classes is "${output.classes}", but the graph's outputs are ${names}`);
  }
  const byName = outputs.find(({ name }) => name === TENSORFLOW.classes);
  if (byName) return byName;
  const integers = outputs.filter(
    ({ datatype, shape }) => /^U?INT/.test(datatype) && shape.length > 0 && shape.length < 3,
  );
  const [only] = integers;
  const rank = (only?.shape.length ?? 0) + 1;
  const hasBoxes = outputs.some(({ datatype, shape }) => datatype.startsWith('FP') && shape.length === rank);
  return integers.length === 1 && hasBoxes && only ? only : null;
}

function chosen(
  { output, task, facts }: TaskSources,
  key: 'boxes' | 'scores',
  candidates: readonly TensorSpec[],
  rank: number,
): TensorSpec {
  const wanted = [output[key] ?? [key, TENSORFLOW[key]]].flat();
  const found = candidates.find(({ name }) => wanted.includes(name));
  const [only] = candidates;
  if (found) return found;
  if (output[key] === undefined && candidates.length === 1 && only) return only;
  const names = facts.outputs.map(({ name, shape }) => `${name} ${shapeText(shape)}`).join(', ');
  throw new ManifestError(
    `model.yaml: output.${key} is missing or wrong: ${task} needs the name of an output with ${rank} dimensions; the graph's outputs are ${names}`,
  );
}

/** Boxes with a score of at least the lowest threshold, best first. @throws UnusableOutputError */
export function postprocessDetector(
  outputs: readonly TensorData[],
  head: DetectorHead,
  labels: readonly string[],
  frame: ImageFrame,
): AnswerOf<'detections'> {
  const boxes = floatOutput(outputs, head.boxes);
  const scores = floatOutput(outputs, head.scores);
  const classes = Array.from<unknown, number>(outputNamed(outputs, head.classes)?.data ?? [], Number);
  if (boxes.length !== 4 * scores.length || classes.length !== scores.length)
    throw new UnusableOutputError(
      `the graph returned ${boxes.length / 4} boxes, ${scores.length} scores and ${classes.length} classes for one image`,
    );
  if (!boxes.every(Number.isFinite) || !scores.every((score) => score >= 0 && score <= 1))
    throw new UnusableOutputError('a box is not finite, or a score is not from 0 to 1');
  const lowest = Math.min(MIN_SCORE, head.threshold);
  const candidates = new Candidates();
  for (const [i, score] of scores.entries())
    if (score > 0 && score >= lowest) candidates.add({ label: classes[i] as number, score, at: 4 * i });
  const objects = candidates.best().map(
    ({ label, score, at }): DetectedObject => ({
      label: labelOf(label, head.firstClass, labels),
      score,
      box: boxAt(boxes, { at, step: 1 }, head, frame),
    }),
  );
  const { iou } = head;
  const kept = iou === null ? objects : suppressOverlaps(objects, (overlap) => overlap > iou);
  return { kind: 'detections', items: kept.slice(0, MAX_OBJECTS), threshold: head.threshold };
}

function labelOf(index: number, first: number, labels: readonly string[]): string {
  const label = labels[index - first];
  if (label !== undefined) return label;
  throw new UnusableOutputError(
    `a box has class ${index}, but the ${labels.length} labels are those of ${first} to ${first + labels.length - 1}: list all classes as labels in model.yaml, or set output.firstClass`,
  );
}
