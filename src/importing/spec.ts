/**
 * The spec of a version, from its manifest, its Hugging Face files and what its graph says: `model.yaml` wins, then the
 * files, then the graph.
 */
import { ManifestError } from '../errors.js';
import type { AnyTask } from '../tasks/define-task.js';
import { isMask } from '../tasks/image.js';
import { TEXT_INPUTS } from '../tasks/sequences.js';
import type { GraphFacts } from '../tasks/sources.js';
import type { Activation, ImageSpec, TensorSpec, TextSpec } from '../tasks/spec.js';
import { checkInput, taskNamed, type VersionSpec } from '../tasks/tasks.js';
import { shapeText } from '../tasks/tensors.js';
import { columnsOf, firstDuplicate } from './columns.js';
import { type HuggingFaceFiles, labelsOfConfig, maskTokenOf, maxTokensOf } from './hugging-face.js';
import type { ModelManifest } from './manifest.js';
import { imageSpecOfPreprocessor, type Preprocessor } from './preprocessor.js';

export interface SpecSources {
  readonly manifest: ModelManifest;
  readonly hf: HuggingFaceFiles;
  /** Digest of the blob of both files of the tokenizer. */
  readonly tokenizerSha256: string | null;
  readonly facts: GraphFacts;
}

/** @throws ManifestError with everything that is missing or contradicts the graph */
export function specOf(sources: SpecSources): VersionSpec {
  const { manifest, facts } = sources;
  const { yaml } = manifest;
  const { inputs, outputs } = facts;
  const task = taskNamed(yaml.task);
  const canStack = [...inputs, ...outputs].every(({ shape }) => shape.length > 0 && shape[0] === null);
  // The parts are those of the task: the compiler cannot follow a task that is known at run time only.
  const spec = {
    task: yaml.task,
    inputKind: task.reads[0].kind,
    inputs,
    outputs,
    ...partsOf(sources, task),
    example: {},
    maxBatch: canStack ? yaml.maxBatch : 1,
    maxBatchReason: canStack ? 'not compared yet' : 'the first size of an input or output is fixed',
    maxRunMs: yaml.maxRunMs,
  } as unknown as VersionSpec;
  return { ...spec, example: exampleOf(spec, manifest) };
}

/** Reads each part for itself, so that an owner is told of everything at once. */
function partsOf(sources: SpecSources, { part, ...task }: AnyTask) {
  const reasons: string[] = [];
  const attempt = <T>(read: () => T): T | null => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error;
      reasons.push(error.message);
      return null;
    }
  };
  const { hf, facts, manifest } = sources;
  const { output, columns, labels: own } = manifest.yaml;
  const labels = attempt(() => labelsOfVersion(sources)) ?? [];
  const head = attempt(() => task.head({ task: task.name, output, labels, facts, hf }));
  if (task.hasLabels && (reasons.length === 0 || labels.length === 0))
    attempt(() => checkLabels(head, { labels, own }, facts.outputs));
  const parts = {
    labels,
    columns: (part === 'row' && attempt(() => columnsOf({ columns }, facts.inputs))) || [],
    image: part === 'image' ? attempt(() => imageSpecOf(sources)) : null,
    text: part === 'text' || part === 'tokens' ? attempt(() => textSpecOf(sources, { part, ...task })) : null,
  };
  if (!head || reasons.length > 0) throw new ManifestError([...new Set(reasons)].join('; '));
  return { ...parts, head };
}

function labelsOfVersion(sources: SpecSources): readonly string[] {
  const { manifest, facts } = sources;
  return manifest.yaml.labels.length > 0 ? manifest.yaml.labels : (facts.zipMap?.labels ?? labelsOfFiles(sources));
}

function labelsOfFiles({ hf, facts }: SpecSources): readonly string[] {
  const labels = labelsOfConfig(hf);
  return labels.length > 0 ? labels : (facts.classLabels ?? []);
}

// ── labels ──

/** Two labels of a published model may be the same word; in a manifest of one's own that is a slip. */
function checkLabels(
  head: { readonly kind: string; readonly output?: string; readonly activation?: Activation } | null,
  { labels, own }: { labels: readonly string[]; own: readonly string[] },
  outputs: readonly TensorSpec[],
): void {
  if (head?.kind === 'label') return;
  const output = outputs.find(({ name }) => name === head?.output);
  if (labels.length === 0)
    throw new ManifestError(
      'model.yaml: labels is missing: one word for each score, in order (or id2label in config.json; exporters of scikit-learn write them with zipmap)',
    );
  const twice = firstDuplicate(own);
  if (twice !== undefined) throw new ManifestError(`model.yaml: label "${twice}" is there twice`);
  const width = output?.shape.at(-1) ?? null;
  const isOneForTwo = head?.kind === 'scores' && head.activation !== 'softmax' && width === 1 && labels.length === 2;
  if (!output || width === null || width === labels.length || isOneForTwo) return;
  const file = own.length > 0 ? 'model.yaml' : 'config.json';
  throw new ManifestError(
    `${file}: ${labels.length} labels, but output "${output.name}" has shape ${shapeText(output.shape)}`,
  );
}

// ── texts ──

/** Null where the graph takes the text itself. */
function textSpecOf(
  { manifest: { yaml }, hf, tokenizerSha256, facts: { inputs } }: SpecSources,
  { name: task, part, tokens }: AnyTask,
): TextSpec | null {
  const [only] = inputs;
  if (inputs.length === 1 && only?.datatype === 'BYTES') {
    if (part === 'text') return null;
    throw new ManifestError(`input "${only.name}" is BYTES; ${task} reads tokens: input_ids, attention_mask`);
  }
  checkTextInputs(inputs, tokenizerSha256 === null);
  if (tokenizerSha256 === null)
    throw new ManifestError(
      'tokenizer.json is missing: save it with tokenizer.save_pretrained(folder) of a fast tokenizer (vocab.txt or sentencepiece files alone are not read)',
    );
  const fixed = inputs.find(({ name }) => name === 'input_ids')?.shape[1] ?? Number.POSITIVE_INFINITY;
  const limit = yaml.tokens.max ?? Math.min(maxTokensOf(hf), tokens?.maxTokens ?? Number.POSITIVE_INFINITY);
  const maxTokens = Math.min(limit, fixed);
  const maskToken = maskTokenOf(hf);
  if (tokens?.hasMask && !maskToken)
    throw new ManifestError('tokenizer_config.json: mask_token is missing, and fill-mask needs one');
  const hasMask = inputs.some(({ name }) => name === 'attention_mask');
  return {
    tokenizerSha256,
    maxTokens,
    stride: Math.min(yaml.tokens.stride ?? 128, Math.floor(maxTokens / 2)),
    longInputs: yaml.tokens.longInputs ?? tokens?.longInputs ?? 'truncate',
    pads: hasMask && fixed === Number.POSITIVE_INFINITY,
    maskToken: tokens?.hasMask ? maskToken : null,
  };
}

function checkTextInputs(inputs: readonly TensorSpec[], hasNoTokenizer: boolean): void {
  const known: readonly string[] = TEXT_INPUTS;
  const odd = inputs.find(({ name, datatype }) => !known.includes(name) || !/^INT(64|32)$/.test(datatype));
  if (!odd && inputs.some(({ name }) => name === 'input_ids')) return;
  const more = hasNoTokenizer ? '; a graph that takes the text itself has one input of BYTES' : '';
  if (!odd) throw new ManifestError(`the graph has no input "input_ids"${more}`);
  throw new ManifestError(
    `input "${odd.name}" is ${odd.datatype}${shapeText(odd.shape)}; for texts ${TEXT_INPUTS.join(', ')} are fed, INT64 or INT32${more}`,
  );
}

// ── pictures ──

function imageSpecOf({ manifest: { yaml }, hf, facts: { inputs } }: SpecSources): ImageSpec {
  const input = pixelInput(inputs, yaml.task);
  const layout = layoutOf(input);
  const graph = sizeOfGraph(input, layout);
  const isGrey = hf.config?.num_channels === 1;
  if (!yaml.image && !hf.preprocessor)
    throw new ManifestError(
      `preprocessor_config.json is missing, and so is image in model.yaml: size, color, rescale_factor, image_mean, image_std`,
    );
  const image = yaml.image
    ? imageSpecOfYaml(yaml.image, graph)
    : imageSpecOfPreprocessor(hf.preprocessor as Preprocessor, isGrey);
  const color = graph.channels === 1 ? 'grey' : image.color;
  if (graph.channels === 3 && image.color === 'grey')
    throw new ManifestError(`color is grey, but input "${input.name}" has shape ${shapeText(input.shape)}`);
  const spec = { ...image, layout, color } as const;
  checkImageSize(spec, graph, input);
  return spec;
}

function pixelInput(inputs: readonly TensorSpec[], task: string): TensorSpec {
  const pixels = inputs.filter((input) => !isMask(input));
  const [input] = pixels;
  if (!input || pixels.length > 1) throw new ManifestError(`the graph has ${inputs.length} inputs; ${task} feeds one`);
  if (input.datatype !== 'FP32' && input.datatype !== 'FP16')
    throw new ManifestError(`input "${input.name}" is ${input.datatype}; ${task} feeds FP32 or FP16`);
  if (input.shape.length < 2 || input.shape.length > 4)
    throw new ManifestError(
      `input "${input.name}" has shape ${shapeText(input.shape)}; a picture has 2 to 4 dimensions`,
    );
  return input;
}

/** Keras puts the channels last. */
function layoutOf({ shape }: TensorSpec): ImageSpec['layout'] {
  const isChannels = (size: number | null | undefined) => size === 1 || size === 3;
  return shape.length === 4 && isChannels(shape[3]) && !isChannels(shape[1]) ? 'NHWC' : 'NCHW';
}

interface GraphSize {
  readonly width: number | null;
  readonly height: number | null;
  readonly channels: number | null;
  /** Where the graph takes its pixels in one row. */
  readonly values: number | null;
}

function sizeOfGraph({ shape }: TensorSpec, layout: ImageSpec['layout']): GraphSize {
  const [, a = null, b = null, c = null] = shape;
  if (shape.length === 2) return { width: null, height: null, channels: null, values: a };
  if (shape.length === 3) return { height: a, width: b, channels: 1, values: null };
  return layout === 'NHWC'
    ? { height: a, width: b, channels: c, values: null }
    : { channels: a, height: b, width: c, values: null };
}

function imageSpecOfYaml(image: NonNullable<ModelManifest['yaml']['image']>, graph: GraphSize): ImageSpec {
  const size = image.size ?? (graph.width && graph.height ? { width: graph.width, height: graph.height } : null);
  if (!size) throw new ManifestError('model.yaml: image.size is missing, and the graph takes any: { width, height }');
  const isLetterbox = image.fit === 'letterbox';
  return {
    resize: { kind: isLetterbox ? 'inside' : 'exact', ...size },
    resample: image.resample,
    crop: image.crop_size,
    pad: isLetterbox ? { ...size, level: 0 } : null,
    color: image.color ?? (graph.channels === 1 ? 'grey' : 'rgb'),
    layout: 'NCHW',
    rescaleFactor: image.rescale_factor,
    mean: image.image_mean,
    std: image.image_std,
  };
}

function checkImageSize(spec: ImageSpec, graph: GraphSize, input: TensorSpec): void {
  const size = spec.pad ?? spec.crop ?? (spec.resize?.kind === 'exact' ? spec.resize : null);
  const shape = `input "${input.name}" has shape ${shapeText(input.shape)}`;
  if (!size) {
    if (graph.width === null && graph.height === null && graph.values === null) return;
    throw new ManifestError(`pictures keep their ratio, but ${shape}`);
  }
  const channels = spec.color === 'grey' ? 1 : 3;
  const values = size.width * size.height * channels;
  const fits =
    (graph.width ?? size.width) === size.width &&
    (graph.height ?? size.height) === size.height &&
    (graph.values ?? values) === values;
  if (!fits)
    throw new ManifestError(`pictures become ${size.width} x ${size.height} (${channels} channels), but ${shape}`);
  const few = [spec.mean, spec.std].find((list) => list.length < channels);
  if (few) throw new ManifestError(`image_mean and image_std have ${few.length} values for ${channels} channels`);
}

// ── example ──

/** Of several the first that fits: an odd input on somebody's card is no reason to refuse the model. */
function exampleOf(spec: VersionSpec, { yaml, widget }: ModelManifest): VersionSpec['example'] {
  const examples = yaml.example ? [yaml.example] : taskNamed(spec.task).examples(spec, widget);
  const misfits = examples.map((example) => problemOfExample(spec, example));
  const fitting = examples[misfits.indexOf(null)];
  if (fitting) return fitting;
  throw new ManifestError(`model.yaml: the example does not fit: ${misfits.at(-1)}`);
}

function problemOfExample(spec: VersionSpec, example: VersionSpec['example']): string | null {
  try {
    checkInput(spec, example, ['example']);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
