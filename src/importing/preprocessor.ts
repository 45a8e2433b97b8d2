/**
 * Converts `preprocessor_config.json` to an `ImageSpec`. The image processors of transformers differ in what a key means
 * and in their defaults, so some rules depend on the type of processor.
 */
import { ManifestError } from '../errors.js';
import type { ImageSpec } from '../tasks/spec.js';
import { type ImageProcessor, processorNamed, processorNameOf, withDefaults } from './image-processors.js';
import type { ImageSize, Preprocessor } from './preprocessor-file.js';

/** Resampling filters by Pillow's number. */
const FILTER_NAMES: Readonly<Record<number, ImageSpec['resample']>> = {
  0: 'nearest',
  1: 'lanczos',
  2: 'bilinear',
  3: 'bicubic',
};

/** A file with all its keys. */
interface NamedProcessor {
  readonly p: Preprocessor;
  /** Null if no file names the processor. */
  readonly name: string | null;
  readonly rules: ImageProcessor | undefined;
}

/**
 * `modelType`: `model_type` of config.json.
 *
 * @throws ManifestError that names the key of preprocessor_config.json
 */
export function imageSpecOfPreprocessor(
  file: Preprocessor,
  { isGrey, modelType }: { readonly isGrey: boolean; readonly modelType: string | null },
): ImageSpec {
  const name = processorNameOf(file, modelType);
  const rules = name === null ? undefined : processorNamed(name);
  const p = rules ? withDefaults(file, rules) : file;
  refuseUnsupported(file, { p, name, rules });
  const filter = FILTER_NAMES[p.resample ?? 2];
  if (!filter)
    throw new ManifestError(
      `preprocessor_config.json: resample ${p.resample} is not supported; use 0 (nearest), 1 (lanczos), 2 (bilinear) or 3 (bicubic)`,
    );
  return {
    resize: isOff(p.do_resize) ? null : resizeOf({ p, name, rules }),
    resample: filter,
    pillow: 13,
    crop: cropOf({ p, name, rules }),
    pad: padOf({ p, name, rules }),
    color: isGrey ? 'grey' : p.do_flip_channel_order ? 'bgr' : 'rgb',
    layout: 'NCHW',
    rescaleFactor: isOff(p.do_rescale) ? 1 : (p.rescale_factor ?? 1 / 255),
    ...normalizationOf(p, name),
  };
}

/** Steps are on by default, and null switches them off. */
function isOff(step: boolean | null | undefined): boolean {
  return step === false || step === null;
}

function normalizationOf(p: Preprocessor, name: string | null): Pick<ImageSpec, 'mean' | 'std'> {
  const isNormalized = p.do_normalize === undefined ? p.image_mean != null : p.do_normalize;
  if (isNormalized && (!p.image_mean || !p.image_std))
    throw new ManifestError(
      'preprocessor_config.json: image_mean or image_std is missing; add both, or set do_normalize to false',
    );
  const mean = isNormalized ? (p.image_mean as number[]) : [0, 0, 0];
  const std = isNormalized ? (p.image_std as number[]) : [1, 1, 1];
  if (name !== 'EfficientNet') return { mean, std };
  // It subtracts `rescale_offset` before it normalizes, and divides by the deviation again for `include_top`.
  const offset = p.rescale_offset && !isOff(p.do_rescale) ? 1 : 0;
  return {
    mean: mean.map((value) => value + offset),
    std: p.include_top ? std.map((value, i) => value * (p.image_std?.[i] ?? 1)) : std,
  };
}

/** All processors pad with zeros, after they normalize. Without a size, they pad to the largest image of a batch. */
function padOf({ p, rules }: NamedProcessor): ImageSpec['pad'] {
  if (!p.do_pad || p.pad_size == null || rules?.pads !== true) return null;
  return { ...dimensionsOf(p.pad_size, 'pad_size'), level: 0, isNormalized: true };
}

/** What is not supported: a pattern of processor names, a feature they use, and whether a file uses it. */
const UNSUPPORTED: readonly (readonly [RegExp, string, (p: Preprocessor) => boolean])[] = [
  [/^DPT/, 'keep_aspect_ratio', ({ keep_aspect_ratio }) => keep_aspect_ratio === true],
  [/^DPT/, 'ensure_multiple_of', ({ ensure_multiple_of }) => (ensure_multiple_of ?? 1) > 1],
  [/^DPT/, 'padding to a multiple of size_divisor', ({ do_pad, size_divisor }) => !!do_pad && size_divisor != null],
  [/^GLPN/, 'sides rounded to multiples of size_divisor', () => true],
  [/^TextNet/, 'sides rounded to multiples of size_divisor', () => true],
  [/^(ViLT|Vilt|BridgeTower)/, 'sides rounded to multiples of size_divisor', () => true],
  [/^Perceiver/, 'a crop before resizing', () => true],
  [/^ImageGPT/, 'color clusters', () => true],
  [/^Owlv2/, 'padding to a square before resizing', () => true],
  [/^Pix2Struct/, 'patches', () => true],
  [/^(Donut|Nougat)/, 'thumbnails', () => true],
];

/** Also a processor that is not known: it may have rules of its own. */
function refuseUnsupported(
  { image_processor_type, feature_extractor_type }: Preprocessor,
  { p, name, rules }: NamedProcessor,
): void {
  const type = image_processor_type ?? feature_extractor_type ?? name;
  const unsupported = UNSUPPORTED.find(([pattern, , applies]) => pattern.test(name ?? '') && applies(p));
  if (unsupported)
    throw new ManifestError(
      `preprocessor_config.json: ${type} uses ${unsupported[1]}, which is not supported; describe the preprocessing with image in model.yaml`,
    );
  if (name !== null && !rules)
    throw new ManifestError(
      `preprocessor_config.json: ${type} is not supported, because its rules are not known; describe the preprocessing with image in model.yaml`,
    );
}

/** YOLOS splits an image into patches of 16 x 16 pixels. */
const YOLOS_MULTIPLE = 16;
/** Of the longer side, for processors of DETR's family whose file has a number as `size`. */
const DETR_MAX_SIZE = 1333;

function resizeOf(processor: NamedProcessor): ImageSpec['resize'] {
  const resize = resizeOfSize(processor);
  const isYolos = resize?.kind === 'shortest' && processor.name === 'Yolos';
  return isYolos ? { ...resize, multiple: YOLOS_MULTIPLE } : resize;
}

function resizeOfSize({ p, name, rules }: NamedProcessor): ImageSpec['resize'] {
  const { size } = p;
  if (size == null)
    throw new ManifestError('preprocessor_config.json: size is missing; add it, or set do_resize to false');
  const shortest = typeof size === 'number' ? size : size.shortest_edge;
  if (name === 'ConvNext') return resizeOfConvNext(p, convNextEdge(p));
  if (name === 'Levit' && shortest !== undefined) return resizeOfShortest(Math.floor((256 / 224) * shortest));
  if (name === 'PoolFormer') return resizeOfPoolFormer(p, size);
  if (typeof size === 'number') {
    const longest = p.max_size ?? (/Detr$|^Yolos$/.test(name ?? '') ? DETR_MAX_SIZE : null);
    if (rules?.numberIsShortestEdge) return { kind: 'shortest', edge: size, longest };
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

function resizeOfShortest(edge: number): ImageSpec['resize'] {
  return { kind: 'shortest', edge, longest: null };
}

function convNextEdge({ size }: Preprocessor): number {
  const edge = typeof size === 'number' ? size : size?.shortest_edge;
  if (edge !== undefined) return edge;
  throw new ManifestError('preprocessor_config.json: size needs shortest_edge, which is what ConvNext reads');
}

/** ConvNeXt resizes to `edge / crop_pct`, then crops to the edge. From 384 pixels on, it does not crop. */
function resizeOfConvNext({ crop_pct }: Preprocessor, edge: number): ImageSpec['resize'] {
  if (edge >= 384) return { kind: 'exact', width: edge, height: edge };
  return resizeOfShortest(Math.floor(edge / (crop_pct ?? 224 / 256)));
}

/** PoolFormer resizes the shorter side to `size / crop_pct`. */
function resizeOfPoolFormer({ crop_pct }: Preprocessor, size: NonNullable<Preprocessor['size']>): ImageSpec['resize'] {
  const { width, height } = dimensionsOf(size, 'size');
  if (width !== height)
    throw new ManifestError(
      `preprocessor_config.json: size of PoolFormer needs one length, but is ${width} x ${height}; describe the preprocessing with image in model.yaml`,
    );
  return resizeOfShortest(Math.floor(width / (crop_pct ?? 1)));
}

function cropOf({ p, name, rules }: NamedProcessor): ImageSpec['crop'] {
  if (name === 'ConvNext' && !isOff(p.do_resize) && p.size != null) {
    const edge = convNextEdge(p);
    return edge >= 384 ? null : { width: edge, height: edge };
  }
  if (!p.do_center_crop || rules?.cropsNever) return null;
  if (p.crop_size == null)
    throw new ManifestError('preprocessor_config.json: crop_size is missing; add it, or set do_center_crop to false');
  return dimensionsOf(p.crop_size, 'crop_size');
}

function dimensionsOf(size: ImageSize, key: string): { width: number; height: number } {
  if (typeof size === 'number') return { width: size, height: size };
  const { width, height, shortest_edge } = size;
  if (width !== undefined && height !== undefined) return { width, height };
  if (shortest_edge !== undefined) return { width: shortest_edge, height: shortest_edge };
  throw new ManifestError(`preprocessor_config.json: ${key} needs height and width, or shortest_edge`);
}
