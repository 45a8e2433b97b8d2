/** Detectors of the YOLO family, whose single output holds boxes and scores. The defaults are those of Ultralytics. */
import { ManifestError } from '../errors.js';
import type { AnswerOf, DetectedObject } from './answer.js';
import { type BoxShape, boxAt, Candidates, clipped, MAX_OBJECTS, MIN_SCORE, suppressOverlaps } from './boxes.js';
import { type Floats, floatOutput, outputNamed, type TensorData } from './datatypes.js';
import { UnusableOutputError } from './failures.js';
import type { ImageFrame } from './image.js';
import { sigmoid } from './scores.js';
import type { TaskSources } from './sources.js';
import type { Activation, TensorSpec, YoloLayout } from './spec.js';
import { shapeText } from './tensors.js';

export interface YoloHead extends BoxShape {
  readonly kind: 'yolo';
  readonly output: string;
  readonly layout: YoloLayout;
  /** Of the scores, and of the objectness. */
  readonly activation: Exclude<Activation, 'softmax'>;
  readonly threshold: number;
  /** Of two boxes of a label whose intersection over union is larger, the better one is kept. Null: no suppression. */
  readonly iou: number | null;
}

const DEFAULT_THRESHOLD = 0.25;
const DEFAULT_IOU = 0.7;

/** Null if the outputs are not those of a YOLO detector. @throws ManifestError if they can be read in several ways */
export function yoloHead({ output, labels, facts, hf }: TaskSources): YoloHead | null {
  const rankThree = facts.outputs.filter(({ shape, datatype }) => shape.length === 3 && datatype.startsWith('FP'));
  const named = output.scores ?? output.boxes;
  const [found, ...others] = named === undefined ? rankThree : rankThree.filter(({ name }) => name === named);
  const isDeclared = output.layout !== undefined;
  const isOther = named !== undefined || others.length > 0 || hf.config?.architectures != null;
  if (!found || (isOther && !(isDeclared && others.length === 0))) {
    if (!isDeclared) return null;
    throw new ManifestError(
      `model.yaml: output.layout is ${output.layout}, which needs a single output with three dimensions: name it as output.scores`,
    );
  }
  if (output.activation === 'softmax')
    throw new ManifestError(
      'model.yaml: output.activation is softmax, but scores of YOLO are independent; use sigmoid',
    );
  if (labels.length === 0)
    throw new ManifestError('labels is missing: list the classes in model.yaml, in the order of the scores');
  const layout = output.layout ?? layoutOfMetadata(found, facts) ?? layoutOf(found, labels.length);
  const isEndToEnd = layout === 'yolov10';
  return {
    kind: 'yolo',
    output: found.name,
    layout,
    format: output.boxFormat ?? (isEndToEnd ? 'corners' : 'center'),
    unit: output.boxUnit ?? 'pixels',
    activation: output.activation ?? 'none',
    threshold: output.threshold ?? DEFAULT_THRESHOLD,
    iou: output.iou ?? (isEndToEnd ? null : DEFAULT_IOU),
  };
}

/** Sizes that are not fixed tell nothing. */
function layoutOfMetadata({ shape }: TensorSpec, { images: { ultralytics } }: TaskSources['facts']): YoloLayout | null {
  const isOpen = shape[1] === null && shape[2] === null;
  return isOpen && ultralytics?.isPlainDetector ? 'yolov8' : null;
}

/** Ultralytics exports end-to-end detectors with this many boxes. No other layout has 300: their grids have multiples of 21. */
const END_TO_END_BOXES = 300;

function layoutOf({ name, shape }: TensorSpec, labels: number): YoloLayout {
  const [, first, last] = shape;
  const fits: Readonly<Record<YoloLayout, boolean>> = {
    yolov5: last === 5 + labels,
    yolov8: first === 4 + labels || last === 4 + labels,
    yolov10: last === 6,
  };
  const layouts = (Object.keys(fits) as YoloLayout[]).filter((layout) => fits[layout]);
  if (last === 6 && first === END_TO_END_BOXES) return 'yolov10';
  const [layout, ...others] = layouts;
  const found = `output "${name}" has shape ${shapeText(shape)}`;
  if (layout && others.length > 0)
    throw new ManifestError(
      `model.yaml: ${found}, which can be ${layouts.join(' or ')} with ${labels} labels: set output.layout to one of them`,
    );
  if (layout) return layout;
  throw new ManifestError(
    `${found}, but the number of labels is ${labels}: a detector has [N, ${4 + labels}, boxes] (yolov8), [N, boxes, ${5 + labels}] (yolov5) or [N, boxes, 6] (yolov10). List all classes as labels in model.yaml, or, if a size is not fixed, set output.layout; detectors with masks, keypoints or angles are not supported`,
  );
}

/**
 * Converts the output to objects, best first. Each box gets its best label. Boxes are clipped to the image, as by
 * Ultralytics.
 *
 * @throws UnusableOutputError if a number is not finite, a score is negative, or the shape does not match
 */
export function postprocessYolo(
  outputs: readonly TensorData[],
  head: YoloHead,
  labels: readonly string[],
  frame: ImageFrame,
): AnswerOf<'detections'> {
  const numbers = floatOutput(outputs, head.output);
  for (const number of numbers)
    if (!Number.isFinite(number)) throw new UnusableOutputError('a box or a score is not a finite number');
  const grid = gridOf(outputNamed(outputs, head.output)?.shape ?? [], head, labels.length);
  const candidates = candidatesOf(numbers, grid, head, labels.length);
  const objects = candidates.best().map(({ label, score, at }): DetectedObject => {
    const box = boxAt(numbers, { at, step: grid.step }, head, frame);
    return { label: labels[label] as string, score, box };
  });
  const { iou } = head;
  const kept = iou === null ? objects.slice(0, MAX_OBJECTS) : suppressOverlaps(objects, (overlap) => overlap > iou);
  const items = kept.map(({ box, ...object }) => ({ ...object, box: clipped(box, frame) }));
  return { kind: 'detections', items, threshold: head.threshold };
}

/** Where the numbers of a box are: the first at `box * stride`, the others `step` apart. */
interface Grid {
  readonly boxes: number;
  readonly stride: number;
  readonly step: number;
}

function gridOf(shape: readonly number[], { layout, output }: YoloHead, labels: number): Grid {
  const [, first = 0, last = 0] = shape;
  const width = { yolov5: 5 + labels, yolov8: 4 + labels, yolov10: 6 }[layout];
  if (layout === 'yolov8' && first === width) return { boxes: last, stride: 1, step: last };
  if (last === width) return { boxes: first, stride: width, step: 1 };
  throw new UnusableOutputError(
    `output "${output}" has shape [${shape.join(', ')}], but ${layout} with ${labels} labels needs ${width} numbers per box: correct labels or output.layout in model.yaml`,
  );
}

function candidatesOf(numbers: Floats, { boxes, stride, step }: Grid, head: YoloHead, labels: number): Candidates {
  const lowest = Math.min(MIN_SCORE, head.threshold);
  const activate = head.activation === 'sigmoid' ? sigmoid : notNegative;
  const candidates = new Candidates();
  const isEndToEnd = head.layout === 'yolov10';
  const objectness = head.layout === 'yolov5' ? 4 * step : null;
  for (let box = 0, at = 0; box < boxes; box++, at += stride) {
    const scores = at + (objectness === null ? 4 : 5) * step;
    const best = isEndToEnd ? 0 : bestAt(numbers, scores, step, labels);
    const object = objectness === null ? 1 : activate(numbers[at + objectness] as number);
    const score = object * activate(numbers[scores + best * step] as number);
    if (score < lowest) continue;
    candidates.add({ label: isEndToEnd ? classAt(numbers, at + 5 * step, labels) : best, score, at });
  }
  return candidates;
}

/** The index of the highest of `count` numbers; the first one if several are equal. */
function bestAt(numbers: Floats, start: number, step: number, count: number): number {
  let best = 0;
  let highest = numbers[start] as number;
  for (let i = 1, at = start + step; i < count; i++, at += step) {
    const number = numbers[at] as number;
    if (number > highest) [best, highest] = [i, number];
  }
  return best;
}

/** Scores in half precision can be this far below 0 by rounding. */
const TOLERANCE = 1e-3;

/** Most boxes of an image show nothing, so that a graph that returns logits has negative scores. */
function notNegative(score: number): number {
  if (score >= -TOLERANCE) return score;
  throw new UnusableOutputError(
    `a score is ${score}, which is not a probability: if the graph returns logits, set output.activation: sigmoid in model.yaml; otherwise check output.layout`,
  );
}

function classAt(numbers: Floats, at: number, labels: number): number {
  const index = numbers[at] as number;
  if (Number.isInteger(index) && index >= 0 && index < labels) return index;
  throw new UnusableOutputError(
    `a box has class ${index}, but there are ${labels} labels, 0 to ${labels - 1}: list all classes as labels in model.yaml`,
  );
}
