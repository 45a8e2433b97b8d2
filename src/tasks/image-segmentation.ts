/** Finds the class of each pixel of an image. Pipeline `image-segmentation` of Hugging Face, for semantic segmentation. */
import { ManifestError } from '../errors.js';
import type { AnswerOf } from './answer.js';
import { floatOutput, outputNamed, type TensorData } from './datatypes.js';
import { defineTask } from './define-task.js';
import { UnusableOutputError } from './failures.js';
import { type ImageFrame, imageExamples, imageInput, preprocessImage, wholeFrame } from './image.js';
import { type ClassMap, maskSizeOf, masksOf, nearestClasses, OUTSIDE, strongestClasses } from './masks.js';
import { architectureOf, type TaskSources } from './sources.js';
import { shapeText } from './tensors.js';

interface SegmentationHead {
  readonly kind: 'segmentation';
  readonly output: string;
  /** [N, labels, height, width] or [N, height, width, labels]: a score per label. [N, height, width]: the index of the label. */
  readonly layout: 'NCHW' | 'NHWC' | 'NHW';
  /** Present if the scores are stretched to the whole image, also where it was cropped or padded, as by transformers. */
  readonly isStretched?: true;
}

export const imageSegmentation = defineTask({
  name: 'IMAGE_SEGMENTATION',
  description: 'Finds the class of each pixel of an image.',
  reads: [imageInput],
  part: 'image',
  answers: ['masks'],
  recognizes: (files) => /ForSemanticSegmentation$/.test(architectureOf(files)),
  head: segmentationHead,
  outputs: ({ output }) => [output],
  examples: imageExamples,
  async preprocess(item, spec, tools) {
    const { tensors, frame } = await preprocessImage(item, spec, tools);
    return {
      rows: [tensors],
      postprocess: ([outputs = []]) =>
        postprocessSegmentation(outputs, spec.head, spec.labels, spec.head.isStretched ? wholeFrame(frame) : frame),
    };
  },
});

function segmentationHead({ output, labels, facts: { outputs }, task, isStretched }: TaskSources): SegmentationHead {
  const stretched = isStretched ? ({ isStretched } as const) : {};
  if (labels.length === 0)
    throw new ManifestError('labels is missing: add id2label to config.json, or labels to model.yaml');
  const names = outputs.map(({ name, shape }) => `${name} ${shapeText(shape)}`).join(', ');
  const named = output.scores === undefined ? outputs : outputs.filter(({ name }) => name === output.scores);
  const maps = named.filter(({ shape }) => shape.length === 4 || shape.length === 3);
  const usual = maps.find(({ name }) => name === 'logits' || name === 'out');
  const found = usual ?? (maps.length === 1 ? maps[0] : undefined);
  if (!found)
    throw new ManifestError(
      `model.yaml: output.scores is missing or wrong: ${task} needs the name of an output [N, labels, height, width] or [N, height, width]; the graph's outputs are ${names}`,
    );
  const { name, datatype, shape } = found;
  if (shape.length === 3 && /^U?INT/.test(datatype))
    return { kind: 'segmentation', output: name, layout: 'NHW', ...stretched };
  const [, first, , last] = shape;
  const layout = first === labels.length ? 'NCHW' : last === labels.length ? 'NHWC' : null;
  if (shape.length === 4 && datatype.startsWith('FP')) {
    if (layout || first === null) return { kind: 'segmentation', output: name, layout: layout ?? 'NCHW', ...stretched };
  }
  throw new ManifestError(
    `output "${name}" is ${datatype} ${shapeText(shape)}, but ${task} with ${labels.length} labels needs [N, ${labels.length}, height, width] as floating-point numbers, or [N, height, width] as integers: ${remedyFor(datatype, first)}`,
  );
}

function remedyFor(datatype: string, channels: number | null | undefined): string {
  if (channels !== 1) return 'list all classes as labels, the background included';
  if (/^U?INT/.test(datatype)) return 'export argmax without keepdim';
  return 'one channel scores a class against the background: export two, such as torch.cat([1 - p, p], 1) of the probabilities p, or torch.cat([-x, x], 1) of the logits x, and list the background and the class as labels';
}

/** @throws UnusableOutputError if the numbers do not match the labels */
function postprocessSegmentation(
  outputs: readonly TensorData[],
  head: SegmentationHead,
  labels: readonly string[],
  frame: ImageFrame,
): AnswerOf<'masks'> {
  const classify = classifierOf(outputs, head, labels.length);
  return masksOf(maskSizeOf({ width: frame.sourceWidth, height: frame.sourceHeight }, labels.length), labels, (size) =>
    classify(size, frame),
  );
}

type Classify = (size: { readonly width: number; readonly height: number }, frame: ImageFrame) => ClassMap;

function classifierOf(outputs: readonly TensorData[], { output, layout }: SegmentationHead, labels: number): Classify {
  const tensor = outputNamed(outputs, output);
  const [, a = 0, b = 0, c = 0] = tensor?.shape ?? [];
  if (layout === 'NHW') {
    const classes = Uint16Array.from<unknown>(tensor?.data ?? [], (value) => Math.min(Number(value), OUTSIDE));
    const wrong = classes.find((index) => index >= labels);
    if (wrong !== undefined)
      throw new UnusableOutputError(`a pixel has class ${wrong}, but there are ${labels} labels: list all classes`);
    return (size, frame) => nearestClasses({ data: classes, height: a, width: b }, size, frame);
  }
  const data = floatOutput(outputs, output);
  const [channels, height, width] = layout === 'NCHW' ? [a, b, c] : [c, a, b];
  if (channels !== labels || data.length !== channels * height * width)
    throw new UnusableOutputError(`the graph returned ${channels} scores per pixel for ${labels} labels`);
  for (const score of data)
    if (!Number.isFinite(score)) throw new UnusableOutputError('a score is not a finite number');
  const steps =
    layout === 'NCHW'
      ? { channel: height * width, row: width, column: 1 }
      : { channel: 1, row: width * labels, column: labels };
  return (size, frame) => strongestClasses({ data, channels, height, width, steps }, size, frame);
}
