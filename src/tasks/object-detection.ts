/** Detects objects in an image, with bounding boxes. Pipeline `object-detection` of Hugging Face. */
import { ManifestError } from '../errors.js';
import type { AnswerOf, DetectedObject } from './answer.js';
import { boxAt, Candidates, MAX_CANDIDATES, MAX_OBJECTS, MIN_SCORE, suppressOverlaps } from './boxes.js';
import { type Floats, floatOutput, outputNamed, type TensorData } from './datatypes.js';
import { defineTask } from './define-task.js';
import { type DetectorHead, detectorHead, postprocessDetector } from './detector.js';
import { UnusableOutputError } from './failures.js';
import { type ImageFrame, imageExamples, imageInput, preprocessImage, wholeFrame } from './image.js';
import { sigmoid } from './scores.js';
import { architectureOf, pickOutput, type TaskSources } from './sources.js';
import type { Activation, BoxFormat, BoxUnit, SpecBase } from './spec.js';
import { shapeText } from './tensors.js';
import { postprocessYolo, type YoloHead, yoloHead } from './yolo.js';

/**
 * The output `boxes` has the shape [N, boxes, 4]. The output `scores` has the shape [N, boxes, labels], or
 * [N, boxes, labels + 1] with "no object" last.
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
  /** Absent: center x, center y, width and height. */
  readonly format?: BoxFormat;
  /** Absent: from 0 to 1, relative to the size of the tensor. */
  readonly unit?: BoxUnit;
  /** Of boxes and labels, how many of the best transformers takes; `boxes`: as many as there are boxes. Absent: all. */
  readonly most?: number | 'boxes';
  /** Present if boxes are fractions of the whole image, also where it was cropped or padded, as in transformers. */
  readonly isStretched?: true;
}

type DetectionHead = BoxesHead | YoloHead | DetectorHead;

export const objectDetection = defineTask({
  name: 'OBJECT_DETECTION',
  description: 'Finds objects in an image, with bounding boxes.',
  reads: [imageInput],
  part: 'image',
  answers: ['detections'],
  recognizes: (files) => /ForObjectDetection$/.test(architectureOf(files)),
  head: (sources: TaskSources): DetectionHead => detectorHead(sources) ?? yoloHead(sources) ?? boxesHead(sources),
  outputs(head) {
    if (head.kind === 'yolo') return [head.output];
    return head.kind === 'detector' ? [head.boxes, head.scores, head.classes] : [head.boxes, head.scores];
  },
  comparedBoxes,
  examples: imageExamples,
  async preprocess(item, spec, tools) {
    const { tensors, frame: own } = await preprocessImage(item, spec, tools);
    const isStretched = spec.head.kind === 'boxes' && spec.head.isStretched;
    const frame = isStretched ? wholeFrame(own) : own;
    return { rows: [tensors], postprocess: ([outputs = []]) => detectionsOf(outputs, spec, frame) };
  },
});

/**
 * Boxes, each once for each of its labels, that may be compared with others to suppress overlaps: as many as the outputs
 * declare, or as are compared at most if they leave the number open. 0 if overlaps are not suppressed.
 */
function comparedBoxes({
  head,
  labels,
  outputs,
}: Pick<SpecBase, 'labels' | 'outputs'> & { readonly head: DetectionHead }): number {
  if (head.iou === null) return 0;
  const read = head.kind === 'yolo' ? head.output : head.scores;
  const shape = outputs.find(({ name }) => name === read)?.shape ?? [];
  // The first of several dimensions is the image.
  const sizes = shape.length > 1 ? shape.slice(1) : shape;
  const values = sizes.reduce<number>((product, size) => product * (size ?? Number.POSITIVE_INFINITY), 1);
  const boxes = head.kind === 'yolo' ? values / (4 + labels.length) : values;
  return Math.min(MAX_CANDIDATES, Math.ceil(boxes));
}

function detectionsOf(
  outputs: readonly TensorData[],
  { head, labels }: { readonly head: DetectionHead; readonly labels: readonly string[] },
  frame: ImageFrame,
): AnswerOf<'detections'> {
  if (head.kind === 'yolo') return postprocessYolo(outputs, head, labels, frame);
  if (head.kind === 'detector') return postprocessDetector(outputs, head, labels, frame);
  return postprocessBoxes(outputs, head, labels, frame);
}

/** `model_type` of models that apply a softmax over the labels and "no object". */
const NO_OBJECT_FAMILIES = new Set(['detr', 'yolos', 'table-transformer']);
/** By `model_type`: how many pairs of a box and a label transformers takes. */
const MOST = new Map<string, number | 'boxes'>([
  ['rt_detr', 'boxes'],
  ['rt_detr_v2', 'boxes'],
  ['rf_detr', 'boxes'],
  ['d_fine', 'boxes'],
  ['deimv2', 'boxes'],
  ['conditional_detr', 100],
  ['dab-detr', 100],
  ['deformable_detr', 100],
  ['lw_detr', 100],
]);
const DEFAULT_THRESHOLD = 0.5;

function boxesHead(sources: TaskSources): BoxesHead {
  const { output, labels, hf, isStretched } = sources;
  const scores = pickOutput(sources, 'scores', ['logits', 'scores'], 3);
  const boxes = pickOutput(sources, 'boxes', ['pred_boxes', 'boxes'], 3);
  const width = scores.shape[2] ?? null;
  const hasNoObject =
    width === null ? NO_OBJECT_FAMILIES.has(hf.config?.model_type ?? '') : width === labels.length + 1;
  if (labels.length === 0)
    throw new ManifestError('labels is missing: add id2label to config.json, or labels to model.yaml');
  if (width !== null && width !== labels.length && !hasNoObject)
    throw new ManifestError(
      `the number of labels is ${labels.length}, but output "${scores.name}" has shape ${shapeText(scores.shape)}: correct labels in model.yaml, or id2label in config.json`,
    );
  if (boxes.shape[2] !== null && boxes.shape[2] !== 4)
    throw new ManifestError(
      `output "${boxes.name}" has shape ${shapeText(boxes.shape)}; boxes need 4 numbers each: name another output in output.boxes of model.yaml`,
    );
  const unit = output.boxUnit ?? 'fractions';
  const most = MOST.get(hf.config?.model_type ?? '');
  return {
    kind: 'boxes',
    ...(most === undefined ? {} : { most }),
    ...(isStretched && unit === 'fractions' ? { isStretched } : {}),
    boxes: boxes.name,
    scores: scores.name,
    activation: output.activation ?? (hasNoObject ? 'softmax' : 'sigmoid'),
    hasNoObject,
    threshold: output.threshold ?? DEFAULT_THRESHOLD,
    iou: output.iou ?? null,
    format: output.boxFormat ?? 'center',
    unit,
  };
}

/**
 * Converts the outputs to objects, best first, at most `MAX_OBJECTS`. Boxes are in pixels of the image sent and can extend
 * beyond its edges.
 *
 * @throws UnusableOutputError if a number is not finite, or the numbers of boxes and scores do not match
 */
function postprocessBoxes(
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
  const shape = { format: head.format ?? 'center', unit: head.unit ?? 'fractions' };
  const most = head.most === 'boxes' ? count : (head.most ?? MAX_CANDIDATES);
  const objects = candidatesOf(scores, count, head, labels.length)
    .best()
    .slice(0, most)
    .map(({ label, score, at }): DetectedObject => {
      const box = boxAt(boxes, { at, step: 1 }, shape, frame);
      return { label: labels[label] as string, score, box };
    });
  const { iou } = head;
  const kept = iou === null ? objects : suppressOverlaps(objects, (overlap) => overlap >= iou);
  return { kind: 'detections', items: kept.slice(0, MAX_OBJECTS), threshold: head.threshold };
}

function candidatesOf(scores: Floats, count: number, head: BoxesHead, labels: number): Candidates {
  const lowest = Math.min(MIN_SCORE, head.threshold);
  const width = labels + Number(head.hasNoObject);
  const candidates = new Candidates();
  for (let i = 0; i < count; i++) {
    const at = i * 4;
    if (head.activation === 'softmax') {
      const best = bestOfSoftmax(scores, { from: i * width, width, labels });
      if (best.score >= lowest) candidates.add({ ...best, at });
      continue;
    }
    for (let label = 0; label < labels; label++) {
      const raw = scores[i * width + label] as number;
      const score = head.activation === 'sigmoid' ? sigmoid(raw) : raw;
      if (score >= lowest) candidates.add({ label, score, at });
    }
  }
  return candidates;
}

/** The best of the first `labels` of `width` scores after a softmax over all of them: the only label that a box gets. */
function bestOfSoftmax(
  scores: Floats,
  { from, width, labels }: { readonly from: number; readonly width: number; readonly labels: number },
): { label: number; score: number } {
  let highest = Number.NEGATIVE_INFINITY;
  for (let i = from; i < from + width; i++) highest = Math.max(highest, scores[i] as number);
  let sum = 0;
  let label = 0;
  let best = -1;
  for (let i = 0; i < width; i++) {
    const power = Math.exp((scores[from + i] as number) - highest);
    sum += power;
    if (i < labels && power > best) [label, best] = [i, power];
  }
  return { label, score: best / sum };
}
