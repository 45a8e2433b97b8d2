/** What holds for images where model.yaml leaves keys of `image` out, and refusals where the defaults would be wrong. */
import { ManifestError } from '../errors.js';
import type { GraphFacts } from '../tasks/sources.js';
import type { TensorSpec } from '../tasks/spec.js';
import type { HuggingFaceFiles } from './hugging-face.js';
import type { ModelYaml } from './manifest.js';

export type ImageYaml = NonNullable<ModelYaml['image']>;

interface Given {
  readonly image: ImageYaml | null;
  /** The keys of `image` that model.yaml sets. */
  readonly keys: readonly string[];
  readonly hf: HuggingFaceFiles;
  readonly facts: GraphFacts['images'];
  /** Whether the outputs have a layout of YOLO, which has defaults of its own. */
  readonly isYolo: boolean;
}

/** Null if preprocessor_config.json applies. @throws ManifestError */
export function settingsOfImage(given: Given, input: TensorSpec): ImageYaml | null {
  const { image, hf, facts, isYolo } = given;
  if (!image && hf.preprocessor) return null;
  if (isYolo) return checked(yoloSettings(given), given, input);
  if (facts.ultralytics?.task === 'classify') return checked(classifierSettings(given), given, input);
  const timm = timmSettings(hf.config?.['pretrained_cfg']);
  if (timm && !['image_mean', 'image_std'].every((key) => given.keys.includes(key)))
    throw new ManifestError(
      `config.json: pretrained_cfg has the preprocessing of timm, which image in model.yaml must repeat: set ${timm}`,
    );
  if (image) return checked(image, given, input);
  const example = facts.rescaledInputs.includes(input.name) ? 'image: { rescale_factor: 1 }' : 'image: { color: rgb }';
  throw new ManifestError(
    `preprocessor_config.json is missing: add it, or describe in model.yaml how images were preprocessed in training: size, crop_size, resample, rescale_factor, image_mean and image_std in image. Keys that are left out have defaults: the size and colors of the graph's input, resample bilinear, rescale_factor 1/255, image_mean 0 and image_std 1. If all of them fit the training, set ${example}`,
  );
}

/** @throws ManifestError if levels would be rescaled twice, by the default and by the graph */
function checked(settings: ImageYaml, { keys, facts }: Given, { name, datatype }: TensorSpec): ImageYaml {
  if (facts.rescaledInputs.includes(name) && datatype.startsWith('FP') && !keys.includes('rescale_factor'))
    throw new ManifestError(
      `the graph divides input "${name}" by 255 or 127.5 itself, and the default of rescale_factor, 1/255, would do so twice: set rescale_factor: 1 in image in model.yaml if the graph takes levels from 0 to 255`,
    );
  return settings;
}

/** Ultralytics resizes the shorter side of images to classify, and crops the center. */
function classifierSettings({ image, keys, facts: { ultralytics } }: Given): ImageYaml {
  const given = image ?? { ...YOLO_IMAGE, ...CLASSIFIED_IMAGE };
  if (['size', 'crop_size', 'fit'].some((key) => keys.includes(key)) || !ultralytics) return given;
  const { width, height } = ultralytics;
  if (width !== height)
    throw new ManifestError(
      `the graph classifies images of ${width} x ${height} pixels, but Ultralytics crops squares: set size, crop_size and the other keys of image in model.yaml`,
    );
  return { ...given, size: { shortest_edge: width }, crop_size: { width, height } };
}

/** Ultralytics resizes with OpenCV into the center of the input, on gray. */
function yoloSettings({ image, keys, facts: { ultralytics } }: Given): ImageYaml {
  const given = image ?? YOLO_IMAGE;
  const fit =
    keys.includes('fit') || (keys.includes('size') && 'shortest_edge' in (given.size ?? {}))
      ? given.fit
      : YOLO_IMAGE.fit;
  const resample = keys.includes('resample') ? given.resample : YOLO_IMAGE.resample;
  const size = given.size ?? ownSize(fit, ultralytics);
  return { ...given, size, fit, resample, pad: fit === 'letterbox' ? { ...YOLO_IMAGE.pad, ...given.pad } : given.pad };
}

function ownSize(fit: ImageYaml['fit'], ultralytics: GraphFacts['images']['ultralytics']): ImageYaml['size'] {
  return ultralytics && fit !== 'none' ? { width: ultralytics.width, height: ultralytics.height } : null;
}

const YOLO_IMAGE = {
  size: null,
  fit: 'letterbox',
  resample: 'opencv-linear',
  pad: { color: 114, position: 'center' },
  crop_size: null,
  color: null,
  rescale_factor: 1 / 255,
  image_mean: [0, 0, 0],
  image_std: [1, 1, 1],
} satisfies ImageYaml;

const CLASSIFIED_IMAGE = { fit: 'fill', resample: 'bilinear', pad: undefined } satisfies Partial<ImageYaml>;

/** The line for model.yaml; null if it is not that of timm, or not a square from the center. */
function timmSettings(config: unknown): string | null {
  const { input_size, crop_pct, crop_mode, interpolation, mean, std } = Object(config) as Record<string, unknown>;
  const [, height, width] = Array.isArray(input_size) ? input_size : [];
  const isPlain = Number.isInteger(height) && Number(crop_pct) > 0 && Array.isArray(mean) && Array.isArray(std);
  if (!isPlain) return null;
  const edge = Math.floor(height / Number(crop_pct));
  const isCentered = height === width && (crop_mode ?? 'center') === 'center';
  const sizes = isCentered
    ? `size: { shortest_edge: ${edge} }, crop_size: { width: ${width}, height: ${height} }`
    : 'size and crop_size';
  return `image: { ${sizes}, resample: ${String(interpolation)}, image_mean: [${mean.join(', ')}], image_std: [${std.join(', ')}] }`;
}
