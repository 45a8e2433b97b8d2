/**
 * What the importer knows of a version when a task reads from it what the outputs of the graph mean.
 */
import { ManifestError } from '../errors.js';
import type { Activation, Pooling, TensorSpec } from './spec.js';
import { shapeText } from './tensors.js';

/** What the file of the graph says. */
export interface GraphFacts {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly producer: string | null;
  readonly opset: number | null;
  readonly parameterCount: number;
  /** Classes of a classical classifier, in the order of the scores. */
  readonly classLabels: readonly string[] | null;
  /** The operator that computes each output, by the output's name. */
  readonly outputOperators: Readonly<Record<string, string>>;
  /** Scores as a list of maps, which cannot be returned: they are read before they become maps. */
  readonly zipMap: { readonly labels: readonly string[]; readonly output: string } | null;
}

/** `output` of model.yaml: which outputs of the graph hold what, and how to postprocess them. */
export interface OutputSettings {
  readonly scores?: string | undefined;
  readonly activation?: Activation | undefined;
  readonly value?: string | undefined;
  readonly unit?: string | undefined;
  readonly vector?: string | undefined;
  readonly pooling?: Exclude<Pooling, 'none'> | undefined;
  readonly normalize?: boolean | undefined;
  readonly start?: string | undefined;
  readonly end?: string | undefined;
  readonly boxes?: string | undefined;
  readonly threshold?: number | undefined;
  readonly iou?: number | undefined;
  readonly hypothesisTemplate?: string | undefined;
}

/** What a Hugging Face repository says, as far as tasks read it. */
export interface ModelFiles {
  readonly config: {
    readonly model_type?: string | undefined;
    readonly architectures?: readonly string[] | null | undefined;
    readonly problem_type?: string | null | undefined;
  } | null;
  /** Null without tokenizer.json. */
  readonly tokenizer: string | null;
  /** Null without preprocessor_config.json. */
  readonly preprocessor: object | null;
  /** Null for models that are not of sentence-transformers. */
  readonly sentences: {
    readonly pooling: Pooling;
    readonly normalize: boolean;
    /** Why the pooling of the model is not supported; its graph may pool itself. */
    readonly refusal?: string;
  } | null;
}

export interface TaskSources {
  /** The task in messages. */
  readonly task: string;
  readonly output: OutputSettings;
  readonly labels: readonly string[];
  readonly facts: GraphFacts;
  readonly hf: ModelFiles;
}

/** The first architecture of config.json, such as "BertForMaskedLM"; '' where the files name another kind of model. */
export function architectureOf({ config, sentences }: ModelFiles): string {
  return sentences ? '' : (config?.architectures?.[0] ?? '');
}

/** Whether the model has no head for a task: its architecture is "BertModel" or "ViTModel". */
export function isBaseModel(files: ModelFiles): boolean {
  const architecture = architectureOf(files);
  return architecture !== '' && !/For[A-Z]/.test(architecture);
}

/** Keys of `output` that name an output of the graph. */
type OutputKey = 'scores' | 'value' | 'vector' | 'start' | 'end' | 'boxes';

/**
 * The output that model.yaml names, else one with a usual name, else the only one with `rank` dimensions.
 *
 * @throws ManifestError that names the key or the output
 */
export function pickOutput(
  { output, facts: { outputs }, task }: TaskSources,
  key: OutputKey,
  usual: readonly string[],
  rank: number,
): TensorSpec {
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
