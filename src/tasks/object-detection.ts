/** Detects objects in an image, with bounding boxes. Pipeline `object-detection` of Hugging Face. */
import { ManifestError } from '../errors.js';
import type { AnswerOf, Box, DetectedObject } from './answer.js';
import { type Floats, floatOutput, outputNamed, type TensorData } from './datatypes.js';
import { defineTask } from './define-task.js';
import { UnusableOutputError } from './failures.js';
import { type ImageFrame, imageExamples, imageInput, preprocessImage } from './image.js';
import { applyActivation } from './scores.js';
import { architectureOf, pickOutput, type TaskSources } from './sources.js';
import type { Activation } from './spec.js';
import { shapeText } from './tensors.js';

/**
 * The output `boxes` has the shape [N, boxes, 4]: center x, center y, width and height, each from 0 to 1, relative to the
 * size of the tensor. The output `scores` has the shape [N, boxes, labels], or [N, boxes, labels + 1] with "no object" last.
 */
interface BoxesHead {
  readonly kind: 'boxes';
  readonly boxes: string;
  readonly scores: string;
  readonly activation: Activation;
  /** Whether the last score stands for "no object". */
  readonly hasNoObject: boolean;
  /** Default of `items(threshold:)`: objects with a lower score are left out. */
  readonly threshold: number;
  /**
   * Threshold of non-maximum suppression: if two boxes of the same label have at least this intersection over union, only
   * the one with the higher score is kept. Null: no suppression.
   */
  readonly iou: number | null;
}

export const objectDetection = defineTask({
  name: 'OBJECT_DETECTION',
  description: 'Finds objects in an image, with bounding boxes.',
  reads: [imageInput],
  part: 'image',
  answers: ['detections'],
  recognizes: (files) => /ForObjectDetection$/.test(architectureOf(files)),
  head: boxesHead,
  outputs: ({ boxes, scores }) => [boxes, scores],
  examples: imageExamples,
  async preprocess(item, spec, tools) {
    const { tensors, frame } = await preprocessImage(item, spec, tools);
    return {
      rows: [tensors],
      postprocess: ([outputs = []]) => postprocessDetections(outputs, spec.head, spec.labels, frame),
    };
  },
});

/** `model_type` of models that apply a softmax over the labels and "no object". */
const NO_OBJECT_FAMILIES = new Set(['detr', 'yolos', 'table-transformer']);
const DEFAULT_THRESHOLD = 0.5;

function boxesHead(sources: TaskSources): BoxesHead {
  const { output, labels, hf } = sources;
  const scores = pickOutput(sources, 'scores', ['logits'], 3);
  const boxes = pickOutput(sources, 'boxes', ['pred_boxes'], 3);
  const width = scores.shape[2] ?? null;
  const hasNoObject =
    width === null ? NO_OBJECT_FAMILIES.has(hf.config?.model_type ?? '') : width === labels.length + 1;
  if (labels.length === 0)
    throw new ManifestError('labels is missing: add id2label to config.json, or labels to model.yaml');
  if (width !== null && width !== labels.length && !hasNoObject)
    throw new ManifestError(
      `the number of labels is ${labels.length}, but output "${scores.name}" has shape ${shapeText(scores.shape)}`,
    );
  if (boxes.shape[2] !== null && boxes.shape[2] !== 4)
    throw new ManifestError(`output "${boxes.name}" has shape ${shapeText(boxes.shape)}; boxes need 4 numbers each`);
  return {
    kind: 'boxes',
    boxes: boxes.name,
    scores: scores.name,
    activation: output.activation ?? (hasNoObject ? 'softmax' : 'sigmoid'),
    hasNoObject,
    threshold: output.threshold ?? DEFAULT_THRESHOLD,
    iou: output.iou ?? null,
  };
}

/** Answers include objects below the model's threshold, so that a caller can choose a lower one. */
export const MIN_SCORE = 0.05;
export const MAX_OBJECTS = 300;

/**
 * Converts the outputs to objects, best first, at most `MAX_OBJECTS`. Boxes are in pixels of the image sent and can extend
 * beyond its edges.
 *
 * @throws UnusableOutputError if a number is not finite, or the numbers of boxes and scores do not match
 */
function postprocessDetections(
  outputs: readonly TensorData[],
  head: BoxesHead,
  labels: readonly string[],
  frame: ImageFrame,
): AnswerOf<'detections'> {
  const boxes = floatOutput(outputs, head.boxes);
  const scores = floatOutput(outputs, head.scores);
  const width = labels.length + Number(head.hasNoObject);
  const count = boxes.length / 4;
  if (!outputNamed(outputs, head.boxes) || scores.length !== count * width)
    throw new UnusableOutputError(`the graph returned ${scores.length} scores for ${count} boxes and ${width} labels`);
  if (!boxes.every(Number.isFinite) || !scores.every(Number.isFinite))
    throw new UnusableOutputError('a box or a score is not a finite number');
  const lowest = Math.min(MIN_SCORE, head.threshold);
  const objects: DetectedObject[] = [];
  for (let i = 0; i < count; i++) {
    const ofBox = applyActivation(scores.subarray(i * width, (i + 1) * width), head.activation).slice(0, labels.length);
    for (const index of candidateLabels(ofBox, head, lowest)) {
      const box = boxOf(boxes.subarray(i * 4, i * 4 + 4), frame);
      objects.push({ label: labels[index] as string, score: ofBox[index] as number, box });
    }
  }
  objects.sort((a, b) => b.score - a.score);
  const kept = head.iou === null ? objects : suppressOverlaps(objects, head.iou);
  return { kind: 'detections', items: kept.slice(0, MAX_OBJECTS), threshold: head.threshold };
}

/** Indices of the labels that a box gets: with softmax, only the best one; otherwise all that score at least `lowest`. */
function candidateLabels(scores: readonly number[], { activation }: BoxesHead, lowest: number): number[] {
  const indices = scores.flatMap((score, i) => (score >= lowest ? [i] : []));
  if (activation !== 'softmax' || indices.length < 2) return indices;
  return [indices.reduce((best, i) => ((scores[i] as number) > (scores[best] as number) ? i : best))];
}

/** Converts a box from center form, relative to the tensor, to edges in pixels of the image sent. */
function boxOf([x = 0, y = 0, width = 0, height = 0]: Floats, frame: ImageFrame): Box {
  const toX = (x: number) => ((x * frame.width - frame.left) * frame.sourceWidth) / frame.contentWidth;
  const toY = (y: number) => ((y * frame.height - frame.top) * frame.sourceHeight) / frame.contentHeight;
  return {
    xmin: toX(x - width / 2),
    ymin: toY(y - height / 2),
    xmax: toX(x + width / 2),
    ymax: toY(y + height / 2),
  };
}

/** Greedy non-maximum suppression, separately for each label. `objects` must be sorted by score, best first. */
function suppressOverlaps(objects: readonly DetectedObject[], iou: number): DetectedObject[] {
  const kept: DetectedObject[] = [];
  for (const object of objects) {
    if (kept.length === MAX_OBJECTS) break;
    const overlaps = (other: DetectedObject) =>
      other.label === object.label && intersectionOverUnion(other.box, object.box) >= iou;
    if (!kept.some(overlaps)) kept.push(object);
  }
  return kept;
}

/** Intersection over union (Jaccard index) of two boxes, 0 to 1. */
export function intersectionOverUnion(a: Box, b: Box): number {
  const width = Math.min(a.xmax, b.xmax) - Math.max(a.xmin, b.xmin);
  const height = Math.min(a.ymax, b.ymax) - Math.max(a.ymin, b.ymin);
  if (width <= 0 || height <= 0) return 0;
  const intersection = width * height;
  return intersection / (areaOf(a) + areaOf(b) - intersection);
}

function areaOf({ xmin, ymin, xmax, ymax }: Box): number {
  return (xmax - xmin) * (ymax - ymin);
}
