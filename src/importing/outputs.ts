/**
 * Which outputs of a graph hold what, and how they become an answer: by `model.yaml`, by what Hugging Face's exports
 * call them, or because there is no choice.
 */
import type { GraphFacts } from '../engine/messages.js';
import { DATATYPES } from '../tasks/datatypes.js';
import type { Activation, Head, TaskName, TensorSpec } from '../tasks/spec.js';
import { shapeText } from '../tasks/tensors.js';
import type { HuggingFaceFiles } from './hugging-face.js';
import type { ModelYaml } from './manifest.js';
import { ManifestError } from './store-file.js';

export interface HeadSources {
  readonly task: TaskName;
  readonly output: ModelYaml['output'];
  readonly labels: readonly string[];
  readonly facts: GraphFacts;
  readonly hf: HuggingFaceFiles;
}

const HEADS: Readonly<Record<TaskName, (sources: HeadSources) => Head>> = {
  TABULAR_CLASSIFICATION: scoresHead,
  TABULAR_REGRESSION: valueHead,
  TEXT_CLASSIFICATION: scoresHead,
  TOKEN_CLASSIFICATION: (sources) => {
    const { name } = pick(sources, 'scores', ['logits'], 3);
    return { kind: 'tokens', output: name };
  },
  FEATURE_EXTRACTION: textVectorHead,
  SENTENCE_SIMILARITY: textVectorHead,
  ZERO_SHOT_CLASSIFICATION: entailmentHead,
  FILL_MASK: (sources) => ({ kind: 'mask', output: pick(sources, 'scores', ['logits'], 3).name }),
  QUESTION_ANSWERING: (sources) => ({
    kind: 'span',
    start: pick(sources, 'start', ['start_logits'], 2).name,
    end: pick(sources, 'end', ['end_logits'], 2).name,
  }),
  IMAGE_CLASSIFICATION: scoresHead,
  OBJECT_DETECTION: boxesHead,
  IMAGE_FEATURE_EXTRACTION: imageVectorHead,
  TENSOR: () => ({ kind: 'tensors' }),
};

/** @throws ManifestError that names the output or the key that is missing */
export function headOf(sources: HeadSources): Head {
  return HEADS[sources.task](sources);
}

/** Keys of `output` that name one. */
type OutputKey = 'scores' | 'value' | 'vector' | 'start' | 'end' | 'boxes';

/** The output that model.yaml names, or that has a usual name, or the only one of that many dimensions. */
function pick(
  { output, facts, task }: HeadSources,
  key: OutputKey,
  usual: readonly string[],
  rank: number,
): TensorSpec {
  const { outputs } = facts;
  const named = output[key];
  const names = outputs.map(({ name }) => name).join(', ');
  const fitting = outputs.filter(({ shape, datatype }) => shape.length === rank && datatype.startsWith('FP'));
  const found =
    named !== undefined
      ? outputs.find(({ name }) => name === named)
      : (outputs.find(({ name }) => usual.includes(name)) ?? (fitting.length === 1 ? fitting[0] : undefined));
  if (!found && named !== undefined)
    throw new ManifestError(`model.yaml: output.${key} is "${named}"; the graph's outputs are ${names}`);
  if (!found)
    throw new ManifestError(
      `model.yaml: output.${key} is missing: which of the outputs ${names} does ${task} read? It is usually called ${usual.join(' or ')}`,
    );
  if (found.shape.length !== rank)
    throw new ManifestError(
      `output "${found.name}" has shape ${shapeText(found.shape)}; ${task} reads one of ${rank} dimensions`,
    );
  return found;
}

/** One score for each label; or, where the graph has none, the label itself. */
function scoresHead(sources: HeadSources): Head {
  const { output, facts, hf, labels } = sources;
  if (hf.config && output.scores === undefined) {
    const { name } = pick(sources, 'scores', ['logits', 'probabilities'], 2);
    return { kind: 'scores', output: name, activation: output.activation ?? activationOf(hf, labels.length) };
  }
  const named = output.scores ?? facts.zipMap?.output ?? probabilitiesOf(sources);
  if (named === undefined) return labelHead(sources);
  const names = facts.outputs.map(({ name }) => name);
  if (names.includes(named)) return { kind: 'scores', output: named, activation: output.activation ?? 'none' };
  throw new ManifestError(`model.yaml: output.scores is "${named}"; the graph's outputs are ${names.join(', ')}`);
}

/** The output that cannot be anything else: scikit-learn's name beside the label, or what comes out of a softmax. */
function probabilitiesOf({ output, facts: { outputs, outputOperators } }: HeadSources): string | undefined {
  const floats = outputs.filter(({ datatype }) => datatype.startsWith('FP'));
  const usual = floats.find(({ name }) => name === 'probabilities');
  if (usual && outputs.length > 1) return usual.name;
  const [only] = floats;
  const isReady = floats.length === 1 && /^(Softmax|Sigmoid)$/.test(outputOperators[only?.name ?? ''] ?? '');
  return isReady && output.activation === undefined ? only?.name : undefined;
}

function labelHead({ facts: { outputs }, hf, task }: HeadSources): Head {
  if (hf.tokenizer !== null || hf.preprocessor)
    throw new ManifestError(
      `config.json is missing: its id2label says what the scores of ${task} mean (or labels and output.scores in model.yaml)`,
    );
  const [first] = outputs;
  if (first && first.datatype !== 'BYTES' && !DATATYPES[first.datatype]?.range)
    throw new ManifestError(
      `model.yaml: output is missing: { scores: ${first.name} }, if that holds one score per label; with activation: softmax or sigmoid, if it holds logits`,
    );
  return { kind: 'label', output: first?.name ?? '' };
}

/** As in transformers: several labels at once, or a single one, are independent of each other. */
function activationOf({ config }: HuggingFaceFiles, count: number): Activation {
  if (config?.problem_type === 'regression') return 'none';
  return config?.problem_type === 'multi_label_classification' || count === 1 ? 'sigmoid' : 'softmax';
}

function valueHead({ output, facts: { outputs } }: HeadSources): Head {
  const name = output.value ?? outputs[0]?.name ?? '';
  const found = outputs.find((one) => one.name === name);
  const names = outputs.map(({ name }) => name).join(', ');
  if (!found) throw new ManifestError(`model.yaml: output.value is "${name}"; the graph's outputs are ${names}`);
  if (!DATATYPES[found.datatype]) throw new ManifestError(`output "${name}" is ${found.datatype}, not a number`);
  return { kind: 'value', output: name, unit: output.unit ?? null };
}

function textVectorHead(sources: HeadSources): Head {
  const { output, facts, hf } = sources;
  const normalize = output.normalize ?? hf.sentences?.normalize ?? false;
  const ready = facts.outputs.find(({ name, shape }) => name === 'sentence_embedding' && shape.length === 2);
  if (ready && output.vector === undefined) return { kind: 'vector', output: ready.name, pooling: 'none', normalize };
  const named = facts.outputs.find(({ name }) => name === output.vector);
  const rank = named?.shape.length === 2 ? 2 : 3;
  const found = pick(sources, 'vector', ['last_hidden_state', 'token_embeddings'], rank);
  if (rank === 3 && output.pooling === undefined && hf.sentences?.refusal)
    throw new ManifestError(hf.sentences.refusal);
  const pooling = rank === 2 ? 'none' : (output.pooling ?? hf.sentences?.pooling ?? 'mean');
  return { kind: 'vector', output: found.name, pooling, normalize };
}

const READY_VECTORS = ['image_embeds', 'pooler_output', 'embeddings'];

/** A vector that the graph has pooled itself, else the first token's, else the mean over all places. */
function imageVectorHead(sources: HeadSources): Head {
  const { output, facts } = sources;
  const normalize = output.normalize ?? false;
  const named = facts.outputs.find(({ name }) => name === output.vector);
  const ready = READY_VECTORS.map((usual) => facts.outputs.find(({ name }) => name === usual)).find(Boolean);
  const chosen = named ?? (output.vector === undefined ? ready : undefined);
  if (chosen && chosen.shape.length !== 3) return { kind: 'vector', output: chosen.name, pooling: 'none', normalize };
  const rank = facts.outputs.some(({ shape }) => shape.length === 3) ? 3 : 2;
  const found = chosen ?? pick(sources, 'vector', ['last_hidden_state'], rank);
  return { kind: 'vector', output: found.name, pooling: output.pooling ?? 'cls', normalize };
}

const HYPOTHESIS = 'This example is {}.';

function entailmentHead(sources: HeadSources): Head {
  const { labels, output } = sources;
  const indexOf = (beginning: string) => labels.findIndex((label) => label.toLowerCase().startsWith(beginning));
  const entailment = indexOf('entail');
  if (entailment < 0)
    throw new ManifestError(
      `config.json: id2label has no label that begins with "entail"; zero-shot classification asks an inference model, whose labels are contradiction, neutral and entailment (here: ${labels.join(', ') || 'none'})`,
    );
  const contradiction = indexOf('contra');
  return {
    kind: 'entailment',
    output: pick(sources, 'scores', ['logits'], 2).name,
    entailment,
    // As transformers: the other end of the list.
    contradiction: contradiction >= 0 ? contradiction : entailment === 0 ? labels.length - 1 : 0,
    template: output.hypothesisTemplate ?? HYPOTHESIS,
  };
}

/** Families whose labels exclude each other, with one more for "no object". */
const WITH_NO_OBJECT = new Set(['detr', 'yolos', 'table-transformer']);
const DEFAULT_THRESHOLD = 0.5;

function boxesHead(sources: HeadSources): Head {
  const { output, labels, hf } = sources;
  const scores = pick(sources, 'scores', ['logits'], 3);
  const boxes = pick(sources, 'boxes', ['pred_boxes'], 3);
  const width = scores.shape[2] ?? null;
  const more = (width ?? labels.length + Number(WITH_NO_OBJECT.has(hf.config?.model_type ?? ''))) - labels.length;
  if (labels.length === 0)
    throw new ManifestError('labels is missing: id2label in config.json, or labels in model.yaml');
  if (more !== 0 && more !== 1)
    throw new ManifestError(
      `${labels.length} labels, but output "${scores.name}" has shape ${shapeText(scores.shape)}`,
    );
  if (boxes.shape[2] !== null && boxes.shape[2] !== 4)
    throw new ManifestError(`output "${boxes.name}" has shape ${shapeText(boxes.shape)}; a box has four numbers`);
  return {
    kind: 'boxes',
    boxes: boxes.name,
    scores: scores.name,
    activation: output.activation ?? (more === 1 ? 'softmax' : 'sigmoid'),
    hasNoObject: more === 1,
    threshold: output.threshold ?? DEFAULT_THRESHOLD,
    iou: output.iou ?? null,
  };
}
