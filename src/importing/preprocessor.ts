/**
 * Converts `preprocessor_config.json` to an `ImageSpec`. The image processors of transformers differ in what a key means
 * and in their defaults, so some rules depend on the type of processor.
 */
import { z } from 'zod';
import { ManifestError } from '../errors.js';
import type { ImageSpec } from '../tasks/spec.js';

const imageSizeSchema = z.union([
  z.number(),
  z.looseObject({
    height: z.number().optional(),
    width: z.number().optional(),
    shortest_edge: z.number().optional(),
    longest_edge: z.number().nullish(),
    max_height: z.number().optional(),
    max_width: z.number().optional(),
  }),
]);

export const preprocessorSchema = z.looseObject({
  image_processor_type: z.string().nullish(),
  feature_extractor_type: z.string().nullish(),
  do_resize: z.boolean().nullish(),
  size: imageSizeSchema.nullish(),
  max_size: z.number().nullish(),
  resample: z.number().nullish(),
  do_center_crop: z.boolean().nullish(),
  crop_size: imageSizeSchema.nullish(),
  crop_pct: z.number().nullish(),
  include_top: z.boolean().nullish(),
  rescale_offset: z.boolean().nullish(),
  do_rescale: z.boolean().nullish(),
  rescale_factor: z.number().nullish(),
  do_normalize: z.boolean().nullish(),
  image_mean: z.array(z.number()).nullish(),
  image_std: z.array(z.number()).nullish(),
  do_flip_channel_order: z.boolean().nullish(),
  do_pad: z.boolean().nullish(),
  pad_size: imageSizeSchema.nullish(),
});
export type Preprocessor = z.infer<typeof preprocessorSchema>;

/** Resampling filters by Pillow's number. */
const FILTER_NAMES: Readonly<Record<number, ImageSpec['resample']>> = {
  0: 'nearest',
  1: 'lanczos',
  2: 'bilinear',
  3: 'bicubic',
};

/** @throws ManifestError that names the key of preprocessor_config.json */
export function imageSpecOfPreprocessor(p: Preprocessor, isGrey: boolean): ImageSpec {
  refuseUnsupported(p);
  const filter = FILTER_NAMES[p.resample ?? 2];
  if (!filter)
    throw new ManifestError(
      `preprocessor_config.json: resample ${p.resample} is not supported; use 0 (nearest), 1 (lanczos), 2 (bilinear) or 3 (bicubic)`,
    );
  const isNormalized = p.do_normalize ?? p.image_mean != null;
  if (isNormalized && (!p.image_mean || !p.image_std))
    throw new ManifestError(
      'preprocessor_config.json: image_mean or image_std is missing; add both, or set do_normalize to false',
    );
  return {
    resize: p.do_resize === false ? null : resizeOf(p),
    resample: filter,
    pillow: 13,
    crop: cropOf(p),
    pad: padOf(p),
    color: isGrey ? 'grey' : p.do_flip_channel_order ? 'bgr' : 'rgb',
    layout: 'NCHW',
    rescaleFactor: p.do_rescale === false ? 1 : (p.rescale_factor ?? 1 / 255),
    mean: isNormalized ? (p.image_mean as number[]) : [0, 0, 0],
    std: isNormalized ? (p.image_std as number[]) : [1, 1, 1],
  };
}

/** Processors of detectors pad with zeros after they normalize. */
const PADS_NORMALIZED = /^(Detr|Yolos|ConditionalDetr|DeformableDetr|GroundingDino|RTDetr)/;

function padOf(p: Preprocessor): ImageSpec['pad'] {
  if (!p.do_pad || p.pad_size == null) return null;
  const pad = { ...dimensionsOf(p.pad_size, 'pad_size'), level: 0 };
  return PADS_NORMALIZED.test(processorOf(p)) ? { ...pad, isNormalized: true } : pad;
}

function processorOf({ image_processor_type, feature_extractor_type }: Preprocessor): string {
  return image_processor_type ?? feature_extractor_type ?? '';
}

/** What is not supported: a pattern of processor names, a feature they use, and whether a file uses it. */
const UNSUPPORTED: readonly (readonly [RegExp, string, (p: Preprocessor) => boolean])[] = [
  [/^EfficientNet/, 'include_top', ({ include_top }) => include_top !== false],
  [/^EfficientNet/, 'rescale_offset', ({ rescale_offset }) => rescale_offset === true],
  [/^PoolFormer/, 'crop_pct', ({ crop_pct }) => crop_pct !== null],
  [/^GLPN/, 'sides rounded to multiples of size_divisor', () => true],
  [/^(ViLT|Vilt|BridgeTower)/, 'sides rounded to multiples of size_divisor', () => true],
  [/^Perceiver/, 'a crop before resizing', () => true],
  [/^ImageGPT/, 'color clusters', () => true],
  [/^Owlv2/, 'padding to a square before resizing', () => true],
  [/^Pix2Struct/, 'patches', () => true],
  [/^(Donut|Nougat)/, 'thumbnails', () => true],
];

function refuseUnsupported(p: Preprocessor): void {
  const name = processorOf(p);
  const unsupported = UNSUPPORTED.find(([pattern, , applies]) => pattern.test(name) && applies(p));
  if (unsupported)
    throw new ManifestError(
      `preprocessor_config.json: ${name} uses ${unsupported[1]}, which is not supported; describe the preprocessing with image in model.yaml`,
    );
}

/** Processors that read a single number as the length of the shorter side; others read it as that of both sides. */
const NUMBER_IS_SHORTEST_EDGE =
  /^(Detr|Yolos|ConditionalDetr|DeformableDetr|CLIP|ConvNext|MobileNet|Levit|Bit|ChineseCLIP)/;

/** YOLOS splits an image into patches of 16 x 16 pixels. */
const YOLOS_MULTIPLE = 16;

function resizeOf(p: Preprocessor): ImageSpec['resize'] {
  const resize = resizeOfSize(p);
  const isYolos = resize?.kind === 'shortest' && /^Yolos/.test(processorOf(p));
  return isYolos ? { ...resize, multiple: YOLOS_MULTIPLE } : resize;
}

function resizeOfSize(p: Preprocessor): ImageSpec['resize'] {
  const { size } = p;
  if (size == null)
    throw new ManifestError('preprocessor_config.json: size is missing; add it, or set do_resize to false');
  if (/^ConvNext/.test(processorOf(p)))
    return resizeOfConvNext(p, typeof size === 'number' ? size : (size.shortest_edge ?? 0));
  const shortest = typeof size === 'number' ? size : size.shortest_edge;
  if (/^Levit/.test(processorOf(p)) && shortest !== undefined) return resizeOfLevit(shortest);
  if (typeof size === 'number') {
    if (NUMBER_IS_SHORTEST_EDGE.test(processorOf(p)))
      return { kind: 'shortest', edge: size, longest: p.max_size ?? null };
    return { kind: 'exact', width: size, height: size };
  }
  const { shortest_edge, longest_edge, max_height, max_width } = size;
  if (shortest_edge !== undefined)
    return { kind: 'shortest', edge: shortest_edge, longest: longest_edge ?? p.max_size ?? null };
  if (max_height !== undefined && max_width !== undefined)
    return { kind: 'inside', width: max_width, height: max_height };
  if (longest_edge != null) return { kind: 'inside', width: longest_edge, height: longest_edge };
  return { kind: 'exact', ...dimensionsOf(size, 'size') };
}

/** LeViT resizes to 256 / 224 of the edge, then crops to the edge. */
function resizeOfLevit(edge: number): ImageSpec['resize'] {
  return { kind: 'shortest', edge: Math.floor((256 / 224) * edge), longest: null };
}

/** ConvNeXt resizes to `edge / crop_pct`, then crops to the edge. From 384 pixels on, it does not crop. */
function resizeOfConvNext({ crop_pct }: Preprocessor, edge: number): ImageSpec['resize'] {
  if (edge >= 384) return { kind: 'exact', width: edge, height: edge };
  return { kind: 'shortest', edge: Math.floor(edge / (crop_pct ?? 224 / 256)), longest: null };
}

function cropOf(p: Preprocessor): ImageSpec['crop'] {
  const { size, crop_size } = p;
  if (/^ConvNext/.test(processorOf(p))) {
    const edge = typeof size === 'number' ? size : (size?.shortest_edge ?? 0);
    return edge >= 384 ? null : { width: edge, height: edge };
  }
  if (/^Levit/.test(processorOf(p)) && p.do_center_crop !== false && size != null)
    return dimensionsOf(crop_size ?? size, 'crop_size');
  if (!p.do_center_crop) return null;
  if (crop_size == null)
    throw new ManifestError('preprocessor_config.json: crop_size is missing; add it, or set do_center_crop to false');
  return dimensionsOf(crop_size, 'crop_size');
}

function dimensionsOf(size: z.infer<typeof imageSizeSchema>, key: string): { width: number; height: number } {
  if (typeof size === 'number') return { width: size, height: size };
  const { width, height, shortest_edge } = size;
  if (width !== undefined && height !== undefined) return { width, height };
  if (shortest_edge !== undefined) return { width: shortest_edge, height: shortest_edge };
  throw new ManifestError(`preprocessor_config.json: ${key} needs height and width, or shortest_edge`);
}
