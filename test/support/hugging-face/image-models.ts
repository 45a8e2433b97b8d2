/** Tiny models that read images. */
import { type NodeSpec, TYPE, type ValueInfo } from '../onnx.ts';
import { card, encode, type Folder, floats, json, keepDimensions, labels, node } from './folder.ts';

export function imageModels(): Record<string, Folder> {
  return {
    'tiny-vit': vit(),
    'tiny-vit-features': vitFeatures(),
    'tiny-yolos': yolos(),
    'tiny-detr': detr(),
    'tiny-segformer': segformer(),
    'tiny-reader': reader(),
  };
}

/** Width and height to which the classifier and the embedding model resize an image. */
const EDGE = 32;

/** Mean and deviation are 0.5, so a level v becomes 2v / 255 − 1. */
const HALVES = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5], rescale_factor: 1 / 255 };

const SQUARE = { do_resize: true, size: { height: EDGE, width: EDGE }, resample: 2, do_normalize: true, ...HALVES };

/**
 * Image classification. The logits are four times the mean of each channel. For an image with every pixel (10, 250, 10)
 * they are −3.68627, 3.84314, −3.68627, and green scores 1 / (1 + 2 e^−7.52941) = 0.99893.
 */
function vit(): Folder {
  const graph = encode({
    inputs: [floats('pixel_values', ['batch', 3, 'height', 'width'])],
    outputs: [floats('logits', ['batch', 3])],
    nodes: [...channelMeans(), node('Mul', ['means', 'four'], 'logits')],
    floats: [{ name: 'four', shape: [1], data: [4] }],
  });
  return imageFolder('ViTForImageClassification', graph, {
    config: { model_type: 'vit', id2label: labels('red', 'green', 'blue') },
    preprocessor: { image_processor_type: 'ViTImageProcessor', ...SQUARE },
  });
}

/** Image embeddings: the mean of each channel. An image with every pixel (255, 0, 51) gives (1, −1, −0.6). */
function vitFeatures(): Folder {
  const graph = encode({
    inputs: [floats('pixel_values', ['batch', 3, EDGE, EDGE])],
    outputs: [floats('last_hidden_state', ['batch', 1, 3]), floats('pooler_output', ['batch', 3])],
    nodes: [
      ...channelMeans(),
      node('Identity', ['means'], 'pooler_output'),
      node('Unsqueeze', ['means', 'axis_1'], 'last_hidden_state'),
    ],
  });
  return imageFolder('ViTModel', graph, {
    config: { model_type: 'vit' },
    preprocessor: { image_processor_type: 'ViTImageProcessor', ...SQUARE },
  });
}

function channelMeans(): NodeSpec[] {
  return [
    node('GlobalAveragePool', ['pixel_values'], 'pooled'),
    node('ReduceSum', ['pooled', 'axes_2_3'], 'means', keepDimensions(false)),
  ];
}

/**
 * Object detection. Every image has the same two boxes: one of "no object", and a cat in the center with 0.4 of the width
 * and 0.2 of the height. Its logits are 5, 0 and 0, so it scores e^5 / (e^5 + 2) = 0.98670. In an image of 640 x 480
 * pixels the box is 192, 192, 448, 288.
 */
function yolos(): Folder {
  return imageFolder('YolosForObjectDetection', detectionGraph([]), {
    config: { model_type: 'yolos', id2label: labels('cat', 'dog') },
    preprocessor: { image_processor_type: 'YolosImageProcessor', ...SHORTEST },
  });
}

/** Like `yolos`, but with a `pixel_mask` input and the older format of the processor's size. */
function detr(): Folder {
  const mask: ValueInfo = { name: 'pixel_mask', type: 'INT64', shape: ['batch', 'height', 'width'] };
  const { size, ...others } = SHORTEST;
  return imageFolder('DetrForObjectDetection', detectionGraph([mask]), {
    config: { model_type: 'detr', id2label: labels('cat', 'dog') },
    preprocessor: {
      feature_extractor_type: 'DetrFeatureExtractor',
      size: size.shortest_edge,
      max_size: size.longest_edge,
      ...others,
    },
  });
}

/**
 * Image segmentation: the class of a pixel is its strongest channel. The scores are those of 8 x 8 cells, and are
 * interpolated to the size of the image.
 */
function segformer(): Folder {
  const graph = encode({
    inputs: [floats('pixel_values', ['batch', 3, EDGE, EDGE])],
    outputs: [floats('logits', ['batch', 3, EDGE / 4, EDGE / 4])],
    nodes: [
      node('AveragePool', ['pixel_values'], 'logits', [
        { name: 'kernel_shape', ints: [4, 4] },
        { name: 'strides', ints: [4, 4] },
      ]),
    ],
  });
  return imageFolder('SegformerForSemanticSegmentation', graph, {
    config: { model_type: 'segformer', id2label: labels('red', 'green', 'blue') },
    preprocessor: { image_processor_type: 'SegformerImageProcessor', ...SQUARE },
  });
}

/**
 * Text recognition: every four columns are a step, which reads "a" if they are black, "b" if they are gray (level 128) and
 * nothing if they are white. A score is −50 times the square of the distance from the level, as a fraction of white, so
 * that a character scores 1 / (1 + 2 e^−12.5) or more.
 */
function reader(): Folder {
  const graph = encode({
    inputs: [floats('x', ['batch', 1, 8, 'width'])],
    outputs: [floats('probabilities', ['batch', 'steps', 3])],
    nodes: [
      node('AveragePool', ['x'], 'pooled', [
        { name: 'kernel_shape', ints: [8, 4] },
        { name: 'strides', ints: [8, 4] },
      ]),
      node('Squeeze', ['pooled', 'axis_2'], 'rows'),
      node('Transpose', ['rows'], 'steps', [{ name: 'perm', ints: [0, 2, 1] }]),
      node('Sub', ['steps', 'levels'], 'distances'),
      node('Mul', ['distances', 'distances'], 'squares'),
      node('Mul', ['squares', 'minus_50'], 'scores'),
      node('Softmax', ['scores'], 'probabilities', [{ name: 'axis', int: -1 }]),
    ],
    floats: [
      { name: 'levels', shape: [3], data: [1, 0, 128 / 255] },
      { name: 'minus_50', shape: [1], data: [-50] },
    ],
  });
  const image =
    'image: { size: { height: 8, min_width: 16, max_width: 64 }, pad: { value: 1 }, resample: opencv-linear }';
  return {
    'README.md': card(),
    'model.yaml': `task: image-to-text\nlabels: [a, b]\n${image}\n`,
    '1/model.onnx': graph,
  };
}

const SHORTEST = {
  do_resize: true,
  size: { shortest_edge: 64, longest_edge: 96 },
  resample: 2,
  do_normalize: true,
  do_pad: true,
  ...HALVES,
};

function detectionGraph(more: readonly ValueInfo[]): Buffer {
  const isMasked = more.length > 0;
  return encode({
    inputs: [floats('pixel_values', ['batch', 3, 'height', 'width']), ...more],
    outputs: [floats('logits', ['batch', 2, 3]), floats('pred_boxes', ['batch', 2, 4])],
    nodes: [
      node('ReduceSum', ['pixel_values', 'axes_1_2_3'], 'sum', keepDimensions(false)),
      ...(isMasked
        ? [
            node('Cast', ['pixel_mask'], 'present', [{ name: 'to', int: TYPE.FP32 }]),
            node('ReduceSum', ['present', 'axes_1_2'], 'count', keepDimensions(false)),
            node('Add', ['sum', 'count'], 'all'),
          ]
        : [node('Identity', ['sum'], 'all')]),
      node('Mul', ['all', 'zero'], 'zeros'),
      node('Unsqueeze', ['zeros', 'axes_1_2'], 'nothing'),
      node('Add', ['constant_logits', 'nothing'], 'logits'),
      node('Add', ['constant_boxes', 'nothing'], 'pred_boxes'),
    ],
    floats: [
      { name: 'zero', shape: [1], data: [0] },
      { name: 'constant_logits', shape: [1, 2, 3], data: [5, 0, 0, 0, 0, 6] },
      { name: 'constant_boxes', shape: [1, 2, 4], data: [0.5, 0.5, 0.4, 0.2, 0.1, 0.1, 0.1, 0.1] },
    ],
  });
}

function imageFolder(
  architecture: string,
  graph: Buffer,
  files: { readonly config: object; readonly preprocessor: object },
): Folder {
  return {
    'README.md': card(),
    'config.json': json({ architectures: [architecture], ...files.config }),
    'preprocessor_config.json': json(files.preprocessor),
    'onnx/model.onnx': graph,
  };
}
