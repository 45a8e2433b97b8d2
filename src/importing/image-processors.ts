/**
 * The image processors of transformers: what each takes for a key that its preprocessor_config.json leaves out. Files of
 * the Hub often have a few keys only. A key that is null is not left out: it switches its step off.
 */
import type { Preprocessor } from './preprocessor-file.js';

type Defaults = Pick<
  Preprocessor,
  | 'size'
  | 'resample'
  | 'do_center_crop'
  | 'crop_size'
  | 'crop_pct'
  | 'include_top'
  | 'do_normalize'
  | 'image_mean'
  | 'image_std'
  | 'do_flip_channel_order'
  | 'do_pad'
>;

export interface ImageProcessor {
  readonly defaults: Defaults;
  /** Whether a single number as `size` is the length of the shorter side; otherwise it is that of both sides. */
  readonly numberIsShortestEdge?: true;
  /** Present if the processor pads images, after it has normalized them. Others ignore `do_pad`. */
  readonly pads?: true;
  /** Present if the processor ignores `do_center_crop`. */
  readonly cropsNever?: true;
}

const IMAGENET = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225], do_normalize: true };
const HALF = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5], do_normalize: true };
const OPENAI = {
  image_mean: [0.48145466, 0.4578275, 0.40821073],
  image_std: [0.26862954, 0.26130258, 0.27577711],
  do_normalize: true,
};
const BILINEAR = { resample: 2 };
const BICUBIC = { resample: 3 };

const square = (edge: number) => ({ height: edge, width: edge });
const shortest = (edge: number) => ({ shortest_edge: edge });
const cropped = (edge: number) => ({ do_center_crop: true, crop_size: square(edge) });

const CLIP: ImageProcessor = {
  defaults: { ...OPENAI, ...BICUBIC, size: shortest(224), ...cropped(224) },
  numberIsShortestEdge: true,
  pads: true,
};
const MOBILE_NET: ImageProcessor = {
  defaults: { ...HALF, ...BILINEAR, size: shortest(256), ...cropped(224) },
  numberIsShortestEdge: true,
};
const DETR: ImageProcessor = {
  defaults: { ...IMAGENET, ...BILINEAR, size: { shortest_edge: 800, longest_edge: 1333 }, do_pad: true },
  numberIsShortestEdge: true,
  pads: true,
  cropsNever: true,
};

/** By name, without `ImageProcessor`, `ImageProcessorFast` or `FeatureExtractor`. */
const PROCESSORS: Readonly<Record<string, ImageProcessor>> = {
  Beit: { defaults: { ...HALF, ...BICUBIC, size: square(224), crop_size: square(224) } },
  Bit: CLIP,
  Blip: { defaults: { ...OPENAI, ...BICUBIC, size: square(384) }, pads: true },
  ChineseCLIP: CLIP,
  CLIP,
  ConditionalDetr: DETR,
  ConvNext: { defaults: { ...HALF, ...BICUBIC, size: shortest(384), crop_pct: 224 / 256 }, numberIsShortestEdge: true },
  DeformableDetr: DETR,
  DeiT: { defaults: { ...HALF, ...BICUBIC, size: square(256), ...cropped(224) }, pads: true },
  Detr: DETR,
  DPT: { defaults: { ...HALF, ...BICUBIC, size: square(384) }, cropsNever: true },
  EfficientNet: { defaults: { ...HALF, ...BICUBIC, size: square(346), crop_size: square(289), include_top: true } },
  Levit: {
    defaults: { ...IMAGENET, ...BICUBIC, size: shortest(224), ...cropped(224) },
    numberIsShortestEdge: true,
    pads: true,
  },
  MobileNetV1: { ...MOBILE_NET, pads: true },
  MobileNetV2: MOBILE_NET,
  MobileViT: {
    defaults: { ...BICUBIC, size: shortest(224), ...cropped(256), do_normalize: false, do_flip_channel_order: true },
    numberIsShortestEdge: true,
  },
  PoolFormer: {
    defaults: { ...IMAGENET, ...BICUBIC, size: shortest(224), ...cropped(224), crop_pct: 0.9 },
    numberIsShortestEdge: true,
    pads: true,
  },
  Pvt: { defaults: { ...IMAGENET, ...BICUBIC, size: square(224) }, pads: true },
  RTDetr: {
    defaults: { ...IMAGENET, ...BILINEAR, do_normalize: false, size: square(640) },
    numberIsShortestEdge: true,
    pads: true,
    cropsNever: true,
  },
  Segformer: { defaults: { ...IMAGENET, ...BILINEAR, size: square(512) }, cropsNever: true },
  Siglip: { defaults: { ...HALF, ...BICUBIC, size: square(224) }, numberIsShortestEdge: true, pads: true },
  ViT: { defaults: { ...HALF, ...BILINEAR, size: square(224) }, pads: true },
  Yolos: DETR,
};

/** `model_type` of config.json, for files that do not name their processor. */
const OF_MODEL_TYPE: Readonly<Record<string, string>> = {
  beit: 'Beit',
  'data2vec-vision': 'Beit',
  bit: 'Bit',
  dinov2: 'Bit',
  dinov2_with_registers: 'Bit',
  focalnet: 'Bit',
  hiera: 'Bit',
  blip: 'Blip',
  chinese_clip: 'ChineseCLIP',
  clip: 'CLIP',
  conditional_detr: 'ConditionalDetr',
  convnext: 'ConvNext',
  convnextv2: 'ConvNext',
  cvt: 'ConvNext',
  regnet: 'ConvNext',
  resnet: 'ConvNext',
  van: 'ConvNext',
  deformable_detr: 'DeformableDetr',
  deta: 'DeformableDetr',
  deit: 'DeiT',
  detr: 'Detr',
  'table-transformer': 'Detr',
  dpt: 'DPT',
  efficientnet: 'EfficientNet',
  levit: 'Levit',
  mobilenet_v1: 'MobileNetV1',
  mobilenet_v2: 'MobileNetV2',
  mobilevit: 'MobileViT',
  mobilevitv2: 'MobileViT',
  poolformer: 'PoolFormer',
  pvt: 'Pvt',
  pvt_v2: 'Pvt',
  d_fine: 'RTDetr',
  rt_detr: 'RTDetr',
  rt_detr_v2: 'RTDetr',
  segformer: 'Segformer',
  upernet: 'Segformer',
  siglip: 'Siglip',
  dinat: 'ViT',
  ijepa: 'ViT',
  swiftformer: 'ViT',
  swin: 'ViT',
  swinv2: 'ViT',
  vit: 'ViT',
  vit_msn: 'ViT',
  yolos: 'Yolos',
};

/** The name of the processor without its suffix; null if neither file names one. */
export function processorNameOf(
  { image_processor_type, feature_extractor_type }: Preprocessor,
  modelType: string | null,
): string | null {
  const type = image_processor_type ?? feature_extractor_type;
  if (type) return type.replace(/(ImageProcessor(Fast|Pil)?|FeatureExtractor)$/, '');
  return OF_MODEL_TYPE[modelType ?? ''] ?? null;
}

/** Undefined if the processor is not known. */
export function processorNamed(name: string): ImageProcessor | undefined {
  return Object.hasOwn(PROCESSORS, name) ? PROCESSORS[name] : undefined;
}

/** The file with all keys that it leaves out. */
export function withDefaults(file: Preprocessor, { defaults }: ImageProcessor): Preprocessor {
  return { ...defaults, ...file };
}
