/**
 * The spec of a version, from its manifest, its Hugging Face files and what its graph says: `model.yaml` wins, then the
 * files, then the graph.
 */
import type { GraphFacts } from '../engine/messages.js';
import { isMask } from '../tasks/image.js';
import { TEXT_INPUTS } from '../tasks/sequences.js';
import type { Head, ImageSpec, InputKind, TaskName, TensorSpec, TextSpec, VersionSpec } from '../tasks/spec.js';
import { check, READS } from '../tasks/task.js';
import { shapeText } from '../tasks/tensors.js';
import { columnsOf, firstDouble } from './columns.js';
import { examplesOf } from './examples.js';
import { type HuggingFaceFiles, labelsOfConfig, maskTokenOf, maxTokensOf } from './hugging-face.js';
import type { ModelManifest } from './manifest.js';
import { headOf } from './outputs.js';
import { imageOf, type Preprocessor } from './preprocessor.js';
import { ManifestError } from './store-file.js';

export interface SpecSources {
  readonly manifest: ModelManifest;
  readonly hf: HuggingFaceFiles;
  /** Digest of the blob of both files of the tokenizer. */
  readonly tokenizerSha256: string | null;
  readonly facts: GraphFacts;
}

/** @throws ManifestError that says which files or keys are missing or contradict the graph: all there are */
export function specOf(sources: SpecSources): VersionSpec {
  const { manifest, facts } = sources;
  const { yaml } = manifest;
  const { inputs, outputs } = facts;
  const inputKind = READS[yaml.task][0];
  const canStack = [...inputs, ...outputs].every(({ shape }) => shape.length > 0 && shape[0] === null);
  const spec: VersionSpec = {
    task: yaml.task,
    inputKind,
    inputs,
    outputs,
    ...partsOf(sources, inputKind),
    example: {},
    maxBatch: canStack ? yaml.maxBatch : 1,
    maxBatchReason: canStack ? 'not compared yet' : 'the first size of an input or output is fixed',
    maxRunMs: yaml.maxRunMs,
  };
  return { ...spec, example: exampleOf(spec, manifest) };
}

/** Each part for itself, so that an owner is told at once of all that is to be mended. */
function partsOf(
  sources: SpecSources,
  inputKind: InputKind,
): Pick<VersionSpec, 'labels' | 'head' | 'columns' | 'image' | 'text'> {
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
  const { task, output, columns, labels: own } = manifest.yaml;
  const labels = attempt(() => labelsOfVersion(sources)) ?? [];
  const head = attempt(() => headOf({ task, output, labels, facts, hf }));
  if (reasons.length === 0 || labels.length === 0)
    attempt(() => checkLabels(task, head, { labels, own }, facts.outputs));
  const parts = {
    labels,
    columns: (inputKind === 'ROW' && attempt(() => columnsOf({ columns }, facts.inputs))) || [],
    image: inputKind === 'IMAGE' ? attempt(() => imageSpecOf(sources)) : null,
    text: readsText(inputKind) ? attempt(() => textSpecOf(sources)) : null,
  };
  if (!head || reasons.length > 0) throw new ManifestError([...new Set(reasons)].join('; '));
  return { ...parts, head };
}

function labelsOfVersion(sources: SpecSources): readonly string[] {
  const { manifest, facts } = sources;
  return manifest.yaml.labels.length > 0 ? manifest.yaml.labels : (facts.zipMap?.labels ?? labelsFromFiles(sources));
}

function labelsFromFiles({ hf, facts }: SpecSources): readonly string[] {
  const labels = labelsOfConfig(hf);
  return labels.length > 0 ? labels : (facts.classLabels ?? []);
}

function readsText(kind: InputKind): boolean {
  return kind === 'TEXT' || kind === 'QUESTION' || kind === 'SIMILARITY' || kind === 'ZERO_SHOT';
}

// ── labels ──

/** Two labels of a published model may be the same word; in a manifest of one's own that is a slip. */
function checkLabels(
  task: TaskName,
  head: Head | null,
  { labels, own }: { labels: readonly string[]; own: readonly string[] },
  outputs: readonly TensorSpec[],
): void {
  const output = head && 'output' in head ? outputs.find(({ name }) => name === head.output) : undefined;
  const needsLabels = head ? ['scores', 'tokens', 'entailment'].includes(head.kind) : task.endsWith('_CLASSIFICATION');
  if (!needsLabels) return;
  if (labels.length === 0)
    throw new ManifestError(
      'model.yaml: labels is missing: one word for each score, in order (or id2label in config.json; exporters of scikit-learn write them with zipmap)',
    );
  const twice = firstDouble(own);
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
function textSpecOf({ manifest: { yaml }, hf, tokenizerSha256, facts: { inputs } }: SpecSources): TextSpec | null {
  const [only] = inputs;
  if (inputs.length === 1 && only?.datatype === 'BYTES') {
    if (READS[yaml.task][0] === 'TEXT' && yaml.task !== 'FILL_MASK') return null;
    throw new ManifestError(`input "${only.name}" is BYTES; ${yaml.task} reads tokens: input_ids, attention_mask`);
  }
  checkTextInputs(inputs, tokenizerSha256 === null);
  if (tokenizerSha256 === null)
    throw new ManifestError(
      'tokenizer.json is missing: save it with tokenizer.save_pretrained(folder) of a fast tokenizer (vocab.txt or sentencepiece files alone are not read)',
    );
  const fixed = inputs.find(({ name }) => name === 'input_ids')?.shape[1] ?? Number.POSITIVE_INFINITY;
  const isQuestion = yaml.task === 'QUESTION_ANSWERING';
  const limit =
    yaml.tokens.max ?? Math.min(maxTokensOf(hf), isQuestion ? QUESTION_MAX_TOKENS : Number.POSITIVE_INFINITY);
  const maxTokens = Math.min(limit, fixed);
  const maskToken = maskTokenOf(hf);
  if (yaml.task === 'FILL_MASK' && !maskToken)
    throw new ManifestError('tokenizer_config.json: mask_token is missing, and fill-mask needs one');
  const hasMask = inputs.some(({ name }) => name === 'attention_mask');
  const isWhole = yaml.task === 'TOKEN_CLASSIFICATION' || isQuestion;
  return {
    tokenizerSha256,
    maxTokens,
    stride: Math.min(yaml.tokens.stride ?? 128, Math.floor(maxTokens / 2)),
    longInputs: yaml.tokens.longInputs ?? (isWhole ? 'windows' : 'truncate'),
    pads: hasMask && fixed === Number.POSITIVE_INFINITY,
    maskToken: yaml.task === 'FILL_MASK' ? maskToken : null,
  };
}

/** What transformers reads in a window when nobody says otherwise. */
const QUESTION_MAX_TOKENS = 384;

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
  const image = yaml.image ? imageOfYaml(yaml.image, graph) : imageOf(hf.preprocessor as Preprocessor, isGrey);
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

function imageOfYaml(image: NonNullable<ModelManifest['yaml']['image']>, graph: GraphSize): ImageSpec {
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
  const examples = yaml.example ? [yaml.example] : examplesOf(spec, widget);
  const misfits = examples.map((example) => misfitOf(spec, example));
  const fitting = examples[misfits.indexOf(null)];
  if (fitting) return fitting;
  throw new ManifestError(`model.yaml: the example does not fit: ${misfits.at(-1)}`);
}

function misfitOf(spec: VersionSpec, example: VersionSpec['example']): string | null {
  try {
    check(spec, example, ['example']);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
