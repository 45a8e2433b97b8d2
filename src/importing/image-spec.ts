/** Builds the preprocessing of images from model.yaml or preprocessor_config.json, and checks it against the graph. */
import { ManifestError } from '../errors.js';
import { DATATYPES } from '../tasks/datatypes.js';
import { isMask } from '../tasks/image.js';
import type { GraphFacts } from '../tasks/sources.js';
import type { ImageSpec, PadSpec, TensorSpec } from '../tasks/spec.js';
import { shapeText } from '../tasks/tensors.js';
import { MAX_LINE_WIDTH } from '../tasks/work.js';
import type { HuggingFaceFiles } from './hugging-face.js';
import { type ImageYaml, settingsOfImage } from './image-defaults.js';
import type { ModelYaml } from './manifest.js';
import { imageSpecOfPreprocessor } from './preprocessor.js';
import type { Preprocessor } from './preprocessor-file.js';

type Layout = ImageSpec['layout'];

interface ImageSources {
  readonly yaml: Pick<ModelYaml, 'image'> & { readonly task: string };
  /** The keys of `image` that model.yaml sets. */
  readonly imageKeys: readonly string[];
  readonly hf: HuggingFaceFiles;
  readonly facts: Pick<GraphFacts, 'inputs' | 'images'>;
  /** Whether the outputs have a layout of YOLO, which has defaults of its own. */
  readonly isYolo: boolean;
}

/** @throws ManifestError */
export function imageSpecOf({ yaml, imageKeys, hf, facts, isYolo }: ImageSources): ImageSpec {
  const input = pixelInput(facts.inputs, yaml.task);
  const layout = yaml.image?.layout ?? layoutOf(input);
  checkLayout(layout, input);
  const graph = sizeOfGraph(input, layout);
  const isGrey = hf.config?.num_channels === 1;
  const settings = settingsOfImage({ image: yaml.image, keys: imageKeys, hf, facts: facts.images, isYolo }, input);
  const image = settings
    ? imageSpecOfYaml(settings, graph, layout)
    : imageSpecOfPreprocessor(hf.preprocessor as Preprocessor, {
        isGrey,
        modelType: hf.config?.model_type ?? null,
      });
  const color = graph.channels === 1 ? 'grey' : image.color;
  if (graph.channels === 3 && image.color === 'grey')
    throw new ManifestError(
      `color is grey in model.yaml or preprocessor_config.json, but input "${input.name}" has shape ${shapeText(input.shape)}`,
    );
  const grey = color === 'grey' ? ({ isGreyFirst: true } as const) : {};
  const spec = inIntegers({ ...image, layout, color, ...grey }, input);
  checkImageSize(spec, graph, input);
  return spec;
}

function pixelInput(inputs: readonly TensorSpec[], task: string): TensorSpec {
  const pixels = inputs.filter((input) => !isMask(input));
  const [input] = pixels;
  if (!input || pixels.length > 1)
    throw new ManifestError(
      `the graph has ${inputs.length} inputs, but ${task} needs exactly one, besides pixel_mask: export it so, or set task: tensor in model.yaml`,
    );
  if (!DATATYPES[input.datatype] || input.datatype === 'BOOL')
    throw new ManifestError(
      `input "${input.name}" is ${input.datatype}, but ${task} needs numbers, such as FP32 or UINT8: export it so, or set task: tensor in model.yaml`,
    );
  if (input.shape.length < 2 || input.shape.length > 4)
    throw new ManifestError(
      `input "${input.name}" has shape ${shapeText(input.shape)}; an image needs 2 to 4 dimensions: export it so, or set task: tensor in model.yaml`,
    );
  return input;
}

/**
 * Graphs exported from Keras and TensorFlow have the channels last. Detectors of torchvision take a single image of three
 * dimensions; without three channels, these are the batch, the rows and the columns of a gray image.
 */
function layoutOf({ shape }: TensorSpec): Layout {
  const isChannels = (size: number | null | undefined) => size === 1 || size === 3;
  if (shape.length === 3 && shape[0] === 3) return 'CHW';
  if (shape.length === 3 && shape[2] === 3) return 'HWC';
  return shape.length === 4 && isChannels(shape[3]) && !isChannels(shape[1]) ? 'NHWC' : 'NCHW';
}

/** Whether the graph takes a single image, without a dimension for the batch. */
export function takesOneImage(input: TensorSpec, declared: Layout | undefined): boolean {
  return !isMask(input) && (declared ?? layoutOf(input)).length === 3;
}

function checkLayout(layout: Layout, { name, shape }: TensorSpec): void {
  const channels = shape.length < layout.length ? null : (shape[layout.indexOf('C')] ?? null);
  const fits = shape.length === layout.length || (shape.length < 4 && layout.length === 4);
  if (!fits)
    throw new ManifestError(`model.yaml: image.layout is ${layout}, but input "${name}" has shape ${shapeText(shape)}`);
  if (channels !== null && channels !== 1 && channels !== 3)
    throw new ManifestError(
      `input "${name}" has shape ${shapeText(shape)}, which is read as ${layout}: ${channels} channels, but an image has 1 or 3; if the order is another, set image.layout in model.yaml`,
    );
}

/** The sizes that the graph fixes; null for any. */
interface GraphSize {
  readonly width: number | null;
  readonly height: number | null;
  readonly channels: number | null;
  /** Number of values if the graph takes pixels as a flat row. */
  readonly values: number | null;
}

function sizeOfGraph({ shape }: TensorSpec, layout: Layout): GraphSize {
  if (shape.length === 2) return { width: null, height: null, channels: null, values: shape[1] ?? null };
  if (shape.length < layout.length)
    return { height: shape[1] ?? null, width: shape[2] ?? null, channels: 1, values: null };
  const size = (axis: string) => shape[layout.indexOf(axis)] ?? null;
  return { height: size('H'), width: size('W'), channels: size('C'), values: null };
}

function imageSpecOfYaml(image: ImageYaml, graph: GraphSize, layout: Layout): ImageSpec {
  const resize = resizeOfYaml(image, graph, layout);
  return {
    resize,
    resample: image.resample,
    pillow: 13,
    crop: image.crop_size,
    pad: padOfYaml(image, resize, graph),
    color: image.color ?? (graph.channels === 1 ? 'grey' : 'rgb'),
    layout: 'NCHW',
    rescaleFactor: image.rescale_factor,
    mean: image.image_mean,
    std: image.image_std,
  };
}

function resizeOfYaml({ size, fit, pad }: ImageYaml, graph: GraphSize, layout: Layout): ImageSpec['resize'] {
  if (fit === 'none') {
    if (size) throw new ManifestError('model.yaml: image.size and image.fit: none exclude each other; remove one');
    return null;
  }
  if (size && !('width' in size)) {
    if (fit === 'letterbox')
      throw new ManifestError(
        'model.yaml: image.fit: letterbox needs image.size with width and height: remove fit, or set both',
      );
    if ('height' in size) {
      const { height, min_width: minWidth = 1, max_width: maxWidth = MAX_LINE_WIDTH } = size;
      return { kind: 'height', height, minWidth, maxWidth };
    }
    return { kind: 'shortest', edge: size.shortest_edge, longest: size.longest_edge ?? null };
  }
  const exact = size ?? (graph.width && graph.height ? { width: graph.width, height: graph.height } : null);
  // A single image can have any size: it shares no run with others.
  if (!exact && layout.length === 3) return null;
  if (!exact)
    throw new ManifestError(
      'model.yaml: image.size is missing, and the graph accepts any size: add size, for example { width: 224, height: 224 } or { shortest_edge: 800 }, or fit: none for the image as it is',
    );
  if (fit !== 'letterbox') return { kind: 'exact', ...exact };
  return { kind: 'inside', ...exact, ...(pad?.position === 'center' ? { rounds: true } : {}) };
}

function padOfYaml({ fit, pad }: ImageYaml, resize: ImageSpec['resize'], graph: GraphSize): PadSpec | null {
  if (!pad && fit !== 'letterbox' && resize?.kind !== 'height') return null;
  if (resize?.kind === 'height') return padOfLine(pad, resize);
  const { width, height } = graph;
  const own = resize?.kind === 'inside' ? resize : width && height ? { width, height } : null;
  const size = pad?.size ?? own;
  if (!size)
    throw new ManifestError(
      'model.yaml: image.pad.size is missing, and the graph accepts any size: add size, for example { width: 640, height: 640 }',
    );
  const largest = resize && sidesAtMost(resize);
  if (!largest || largest.width > size.width || largest.height > size.height)
    throw new ManifestError(
      `model.yaml: images can be larger than image.pad.size, ${size.width} x ${size.height}: use fit: letterbox, or set image.size.longest_edge to ${Math.min(size.width, size.height)} or less`,
    );
  return {
    width: size.width,
    height: size.height,
    level: pad?.value ?? pad?.color ?? 0,
    ...(pad?.value === undefined ? {} : { isNormalized: true }),
    ...(pad?.position === 'center' ? { position: 'center' } : {}),
  };
}

/** Lines are padded at the right, to their least width. */
function padOfLine(pad: ImageYaml['pad'], { height, minWidth }: Extract<ImageSpec['resize'], { kind: 'height' }>) {
  if (pad?.size || pad?.position === 'center')
    throw new ManifestError(
      'model.yaml: an image with size.height and size.min_width is padded at the right to that width: remove size and position from image.pad',
    );
  const level = pad?.value ?? pad?.color ?? 0;
  return { width: minWidth, height, level, ...(pad?.value === undefined ? {} : { isNormalized: true as const }) };
}

/** The largest sides of a resized image; null if they are not limited. */
function sidesAtMost(
  resize: Exclude<ImageSpec['resize'], null | { kind: 'height' }>,
): { width: number; height: number } | null {
  if (resize.kind !== 'shortest') return resize;
  return resize.longest === null ? null : { width: resize.longest, height: resize.longest };
}

/**
 * A graph that takes integers gets them as they are: 1/255, the default of `rescale_factor`, would leave no levels.
 *
 * @throws ManifestError if a value would not be an integer of the datatype
 */
function inIntegers(spec: ImageSpec, { name, datatype }: TensorSpec): ImageSpec {
  const range = DATATYPES[datatype]?.range;
  if (!range) return spec;
  const isPlain = spec.mean.every((mean) => mean === 0) && spec.std.every((std) => std === 1);
  const isDefault = isPlain && Math.abs(spec.rescaleFactor * 255 - 1) < 1e-6;
  const scaled = isDefault ? { ...spec, rescaleFactor: 1 } : spec;
  const channels = spec.color === 'grey' ? 1 : 3;
  for (let channel = 0; channel < channels; channel++) {
    const normalized = (level: number) =>
      (level * scaled.rescaleFactor - (spec.mean[channel] ?? 0)) / (spec.std[channel] ?? 1);
    const isFree = [0, 1, 2, 254, 255].some((level) => !isIn(range, normalized(level)));
    if (isFree)
      throw new ManifestError(
        `input "${name}" is ${datatype}, but images are normalized to ${normalized(0)} to ${normalized(255)}: set rescale_factor to 1 and remove image_mean and image_std (do_rescale and do_normalize: false in preprocessor_config.json), if the graph takes levels from 0 to 255`,
      );
  }
  const fillings = scaled.pad?.isNormalized ? [scaled.pad.level].flat() : [];
  if (fillings.some((value) => !isIn(range, value)))
    throw new ManifestError(`model.yaml: image.pad.value must be an integer, because input "${name}" is ${datatype}`);
  return scaled;
}

function isIn([least, most]: readonly [bigint, bigint], value: number): boolean {
  return Number.isInteger(value) && value >= Number(least) && value <= Number(most);
}

function checkImageSize(spec: ImageSpec, graph: GraphSize, input: TensorSpec): void {
  const isLine = spec.resize?.kind === 'height' && spec.resize.minWidth < spec.resize.maxWidth;
  const size = isLine ? null : (spec.pad ?? spec.crop ?? (spec.resize?.kind === 'exact' ? spec.resize : null));
  const shape = `input "${input.name}" has shape ${shapeText(input.shape)}`;
  const channels = spec.color === 'grey' ? 1 : 3;
  const tooShort = [spec.mean, spec.std].find((list) => list.length < channels);
  if (tooShort)
    throw new ManifestError(
      `image_mean and image_std in model.yaml or preprocessor_config.json need ${channels} values, one per channel; one of them has ${tooShort.length}`,
    );
  if (!size) {
    const isHeightFree =
      graph.height === null || (spec.resize?.kind === 'height' && spec.resize.height === graph.height);
    if (graph.width === null && isHeightFree && graph.values === null) return;
    throw new ManifestError(
      `images keep their aspect ratio, so that their sizes differ, but ${shape}: set image.size with width and height in model.yaml`,
    );
  }
  const values = size.width * size.height * channels;
  const fits =
    (graph.width ?? size.width) === size.width &&
    (graph.height ?? size.height) === size.height &&
    (graph.values ?? values) === values;
  if (!fits)
    throw new ManifestError(
      `images are resized to ${size.width} x ${size.height} (${channels} channels), but ${shape}: correct image.size in model.yaml, or size in preprocessor_config.json`,
    );
}
