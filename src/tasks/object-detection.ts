/**
 * From a graph's boxes to what stands where in the picture that was sent.
 */
import { ManifestError } from '../errors.js';
import type { AnswerOf, Box, DetectedObject } from './answer.js';
import { outputNamed, type TensorData } from './datatypes.js';
import { defineTask } from './define-task.js';
import { UnusableOutputError } from './failures.js';
import { type ImageFrame, imageExamples, imageInput, preprocessImage } from './image.js';
import { applyActivation } from './scores.js';
import { architectureOf, pickOutput, type TaskSources } from './sources.js';
import type { Activation } from './spec.js';
import { shapeText } from './tensors.js';

/** [N, boxes, 4] in centre form, relative to the image in the tensor, and [N, boxes, labels (+ 1)]. */
interface BoxesHead {
  readonly kind: 'boxes';
  readonly boxes: string;
  readonly scores: string;
  readonly activation: Activation;
  /** Whether the last score is that of "no object". */
  readonly hasNoObject: boolean;
  /** Objects with a lower score are left out, unless a caller asks for them. */
  readonly threshold: number;
  /** Of two boxes of a label with a larger intersection over union, the better one stays; null: both stay. */
  readonly iou: number | null;
}

export const objectDetection = defineTask({
  name: 'OBJECT_DETECTION',
  description: 'Finds objects in an image, with bounding boxes.',
  reads: [imageInput],
  part: 'image',
  recognizes: (files) => /ForObjectDetection$/.test(architectureOf(files)),
  head: boxesHead,
  outputs: ({ boxes, scores }) => [boxes, scores],
  examples: imageExamples,
  async preprocess(item, spec, tools) {
    const { tensors, frame } = await preprocessImage(item, spec, tools);
    return { rows: [tensors], postprocess: ([own = []]) => postprocessDetections(own, spec.head, spec.labels, frame) };
  },
});

/** Families whose labels exclude each other, with one more for "no object". */
const NO_OBJECT_FAMILIES = new Set(['detr', 'yolos', 'table-transformer']);
const DEFAULT_THRESHOLD = 0.5;

function boxesHead(sources: TaskSources): BoxesHead {
  const { output, labels, hf } = sources;
  const scores = pickOutput(sources, 'scores', ['logits'], 3);
  const boxes = pickOutput(sources, 'boxes', ['pred_boxes'], 3);
  const width = scores.shape[2] ?? null;
  const more = (width ?? labels.length + Number(NO_OBJECT_FAMILIES.has(hf.config?.model_type ?? ''))) - labels.length;
  if (labels.length === 0)
    throw new ManifestError('labels is missing: id2label in config.json, or labels in model.yaml');
  if (more !== 0 && more !== 1)
    throw new ManifestError(
      `${labels.length} labels, but output "${scores.name}" has shape ${shapeText(scores.shape)}`,
    );
  if (boxes.shape[2] !== null && boxes.shape[2] !== 4)
    throw new ManifestError(`output "${boxes.name}" has shape ${shapeText(boxes.shape)}; a box has four numbers`);
  return {
    kind: 'boxes',
    boxes: boxes.name,
    scores: scores.name,
    activation: output.activation ?? (more === 1 ? 'softmax' : 'sigmoid'),
    hasNoObject: more === 1,
    threshold: output.threshold ?? DEFAULT_THRESHOLD,
    iou: output.iou ?? null,
  };
}

/** What an answer keeps, so that a caller may ask for less sure ones than the model's threshold. */
const MIN_SCORE = 0.05;
const MAX_OBJECTS = 300;

/**
 * Best first, in pixels of the picture that was sent. A box may reach beyond its edge, as the model said.
 *
 * @throws UnusableOutput when a number is not finite, or the outputs do not fit each other
 */
function postprocessDetections(
  outputs: readonly TensorData[],
  head: BoxesHead,
  labels: readonly string[],
  frame: ImageFrame,
): AnswerOf<'detections'> {
  const boxes = outputNamed(outputs, head.boxes)?.data as Float32Array | undefined;
  const scores = outputNamed(outputs, head.scores)?.data as Float32Array | undefined;
  const width = labels.length + Number(head.hasNoObject);
  const count = (boxes?.length ?? 0) / 4;
  if (!boxes || scores?.length !== count * width)
    throw new UnusableOutputError(`it gave ${scores?.length ?? 0} scores for ${count} boxes and ${width} labels`);
  if (!boxes.every(Number.isFinite) || !scores.every(Number.isFinite))
    throw new UnusableOutputError('it gave a box or a score that is not a number');
  const lowest = Math.min(MIN_SCORE, head.threshold);
  const found: DetectedObject[] = [];
  for (let i = 0; i < count; i++) {
    const own = applyActivation(scores.subarray(i * width, (i + 1) * width), head.activation).slice(0, labels.length);
    for (const index of candidateLabels(own, head, lowest)) {
      const box = boxOf(boxes.subarray(i * 4, i * 4 + 4), frame);
      found.push({ label: labels[index] as string, score: own[index] as number, box });
    }
  }
  found.sort((a, b) => b.score - a.score);
  const kept = head.iou === null ? found : suppressOverlaps(found, head.iou);
  return { kind: 'detections', items: kept.slice(0, MAX_OBJECTS), threshold: head.threshold };
}

/** Probabilities that exclude each other name one label for a box; others each for themselves. */
function candidateLabels(scores: readonly number[], { activation }: BoxesHead, lowest: number): number[] {
  const all = scores.flatMap((score, i) => (score >= lowest ? [i] : []));
  if (activation !== 'softmax' || all.length < 2) return all;
  return [all.reduce((best, i) => ((scores[i] as number) > (scores[best] as number) ? i : best))];
}

/** Centre form, relative to the tensor's picture; its content lies at `left`, `top` in the size it was resized to. */
function boxOf([x = 0, y = 0, width = 0, height = 0]: Float32Array, frame: ImageFrame): Box {
  const toX = (share: number) => ((share * frame.width - frame.left) * frame.sourceWidth) / frame.contentWidth;
  const toY = (share: number) => ((share * frame.height - frame.top) * frame.sourceHeight) / frame.contentHeight;
  return {
    xmin: toX(x - width / 2),
    ymin: toY(y - height / 2),
    xmax: toX(x + width / 2),
    ymax: toY(y + height / 2),
  };
}

/** Greedy, best first, each label for itself. */
function suppressOverlaps(found: readonly DetectedObject[], iou: number): DetectedObject[] {
  const kept: DetectedObject[] = [];
  for (const one of found) {
    if (kept.length === MAX_OBJECTS) break;
    if (!kept.some((other) => other.label === one.label && intersectionOverUnion(other.box, one.box) >= iou))
      kept.push(one);
  }
  return kept;
}

/** Intersection over union. */
export function intersectionOverUnion(a: Box, b: Box): number {
  const width = Math.min(a.xmax, b.xmax) - Math.max(a.xmin, b.xmin);
  const height = Math.min(a.ymax, b.ymax) - Math.max(a.ymin, b.ymin);
  if (width <= 0 || height <= 0) return 0;
  const both = width * height;
  return both / (areaOf(a) + areaOf(b) - both);
}

function areaOf({ xmin, ymin, xmax, ymax }: Box): number {
  return (xmax - xmin) * (ymax - ymin);
}
