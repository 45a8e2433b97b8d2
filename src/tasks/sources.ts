/** What the importer passes to a task, so that the task can find out what the outputs of the graph mean. */
import { ManifestError } from '../errors.js';
import type { Activation, Blank, BoxFormat, BoxUnit, Pooling, SimilarityName, TensorSpec, YoloLayout } from './spec.js';
import { shapeText } from './tensors.js';

/** Facts read from the ONNX file. */
export interface GraphFacts {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly producer: string | null;
  readonly opset: number | null;
  readonly parameterCount: number;
  /** Operations for each value of the inputs; see `onnx/graph-operations.ts`. */
  readonly operationsPerValue: number;
  /** Where the values of each output come from, by the output's name; see `onnx/output-origins.ts`. */
  readonly outputOrigins: Readonly<Record<string, OutputOrigin>>;
  /** What the graph tells about the images it takes; see `onnx/image-facts.ts`. */
  readonly images: {
    readonly rescaledInputs: readonly string[];
    readonly ultralytics: {
      readonly task: string;
      readonly width: number;
      readonly height: number;
      readonly isPlainDetector: boolean | null;
    } | null;
  };
  /** What its encoders know of the columns of its inputs; see `onnx/known-categories.ts`. */
  readonly knownCategories: readonly {
    readonly input: string;
    readonly column: number;
    readonly values: readonly (string | number)[];
  }[];
  /** Columns whose missing values it treats wrongly; see `onnx/missing-values.ts`. */
  readonly lostMissing: readonly { readonly input: string; readonly column: number | null }[];
  /** How many tokens its embedding knows; null if it has none, or nobody can tell. */
  readonly embeddingRows: number | null;
  /** Why the answers of the graph are known to be wrong; see `onnx/converter-faults.ts`. */
  readonly converterFaults: readonly string[];
  /**
   * Set if the graph ends with a ZipMap node, whose list of maps ONNX Runtime cannot return. `output` is the tensor before
   * that node.
   */
  readonly zipMap: { readonly labels: readonly string[]; readonly output: string } | null;
  /** Names of the classes in the metadata of the file, as Ultralytics writes them; null if there are none. */
  readonly classNames: readonly string[] | null;
  /** Sequences of tensors among the outputs; the tensors are outputs in their place. */
  readonly sequences: readonly { readonly name: string; readonly tensors: readonly string[] }[];
}

/** Kinds of scores; see `onnx/output-origins.ts`. */
export type ScoreKind = 'softmax' | 'sigmoid' | 'probability' | 'raw';

/** What the operators before an output tell about its values; see `onnx/output-origins.ts`. */
export interface OutputOrigin {
  readonly operator: string;
  readonly scores: ScoreKind | null;
  readonly classes: readonly string[] | null;
  /** The classes of each column, if the output joins several; null otherwise. */
  readonly columns: readonly (readonly string[] | null)[] | null;
  readonly isIndex: boolean;
  readonly isThreshold: boolean;
}

/** `output` of model.yaml: which outputs of the graph to read, and how to postprocess them. */
export interface OutputSettings {
  readonly label?: string | undefined;
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
  readonly layout?: YoloLayout | undefined;
  readonly boxFormat?: BoxFormat | undefined;
  readonly boxUnit?: BoxUnit | undefined;
  readonly classes?: string | undefined;
  readonly firstClass?: number | undefined;
  readonly threshold?: number | undefined;
  readonly iou?: number | undefined;
  readonly hypothesisTemplate?: string | undefined;
  readonly blank?: Blank | undefined;
}

/** One of `targets` of model.yaml: a number or a class that the model predicts for an input. */
export interface TargetSettings {
  readonly name: string;
  readonly unit?: string | undefined;
  /** The classes of this target, in the order of the graph's scores. */
  readonly labels?: readonly string[] | undefined;
  /** For the scores of this target; by default that of `output`. */
  readonly activation?: Activation | undefined;
  /** The graph's output that holds it; by default the one that the task reads. */
  readonly output?: string | undefined;
}

/** The files of a Hugging Face repository, as far as tasks read them. */
export interface ModelFiles {
  readonly config: {
    readonly model_type?: string | undefined;
    readonly architectures?: readonly string[] | null | undefined;
    readonly problem_type?: string | null | undefined;
    /** Of model2vec. */
    readonly normalize?: unknown;
    readonly max_length?: unknown;
    readonly id2label?: Readonly<Record<string, string>> | null | undefined;
    /** Of cross-encoders. */
    readonly sentence_transformers?: unknown;
    readonly sbert_ce_default_activation_function?: unknown;
  } | null;
  /** Null if there is no tokenizer.json. */
  readonly tokenizer: string | null;
  /** Null if there is no preprocessor_config.json. */
  readonly preprocessor: object | null;
  /** Settings of sentence-transformers; null for other models. */
  readonly sentences: {
    readonly pooling: Pooling;
    readonly normalize: boolean;
    /** Why the model's pooling is not supported. Does not matter if the graph does the pooling. */
    readonly refusal?: string;
    /** Present if the tokens of a prompt are left out of the pooling. */
    readonly poolsPrompt?: false;
    /** Absent for cosine. */
    readonly similarity?: Exclude<SimilarityName, 'cosine'>;
    /** How many numbers of an embedding are kept. Absent for all. */
    readonly dimensions?: number;
    /** Present for static embeddings. */
    readonly isStatic?: true;
  } | null;
  /** Present for a cross-encoder of sentence-transformers with files of its own. */
  readonly ranker?: {
    /** The function that is applied to the scores, as a Python path; null for the default. */
    readonly activation: string | null;
    /** Why the model's modules are not supported. */
    readonly refusal?: string;
  };
}

export interface TaskSources {
  /** Name of the task, for messages. */
  readonly task: string;
  readonly output: OutputSettings;
  readonly labels: readonly string[];
  /** `labels` of model.yaml; empty if it has none. */
  readonly givenLabels: readonly string[];
  /** Empty if model.yaml names no targets. */
  readonly targets: readonly TargetSettings[];
  /** `multiLabel` of model.yaml. */
  readonly multiLabel: boolean | undefined;
  readonly facts: GraphFacts;
  readonly hf: ModelFiles;
  /**
   * Whether images are prepared by preprocessor_config.json of a repository. Boxes and masks are then stretched to the whole
   * image, as by transformers, also where it was cropped or padded.
   */
  readonly isStretched: boolean;
}

/** The first architecture in config.json, such as "BertForMaskedLM"; '' if there is none, or for sentence-transformers. */
export function architectureOf({ config, sentences }: ModelFiles): string {
  return sentences ? '' : (config?.architectures?.[0] ?? '');
}

/** Whether the model is of model2vec. */
export function isModel2Vec({ config }: Pick<ModelFiles, 'config'>): boolean {
  return config?.model_type === 'model2vec';
}

/** Whether embeddings are means over a table's rows, so that texts get no special tokens. */
export function isStaticModel(files: Pick<ModelFiles, 'config' | 'sentences'>): boolean {
  return isModel2Vec(files) || files.sentences?.isStatic === true;
}

/** Whether the model has no task-specific head, as with the architectures "BertModel" and "ViTModel". */
export function isBaseModel(files: ModelFiles): boolean {
  const architecture = architectureOf(files);
  return architecture !== '' && !/For[A-Z]/.test(architecture);
}

/** Keys of `output` that name an output of the graph. */
type OutputKey = 'label' | 'scores' | 'value' | 'vector' | 'start' | 'end' | 'boxes';

/**
 * Chooses an output with `rank` dimensions: the one that model.yaml names, else one with a usual name, else the only
 * floating-point output of that rank.
 *
 * @throws ManifestError that names the key of model.yaml or the output
 */
export function pickOutput(
  { output, facts: { outputs }, task }: TaskSources,
  key: OutputKey,
  usual: readonly string[],
  rank: number,
): TensorSpec {
  const named = output[key];
  const names = outputs.map(({ name }) => name).join(', ');
  const candidates = outputs.filter(({ shape, datatype }) => shape.length === rank && datatype.startsWith('FP'));
  const chosen =
    named !== undefined
      ? outputs.find(({ name }) => name === named)
      : (outputs.find(({ name }) => usual.includes(name)) ?? (candidates.length === 1 ? candidates[0] : undefined));
  if (!chosen && named !== undefined)
    throw new ManifestError(`model.yaml: output.${key} is "${named}", but the graph's outputs are ${names}`);
  if (!chosen)
    throw new ManifestError(
      `model.yaml: output.${key} is missing: name the output that ${task} reads (usually ${usual.join(' or ')}); the graph's outputs are ${names}`,
    );
  if (chosen.shape.length !== rank)
    throw new ManifestError(
      `output "${chosen.name}" has shape ${shapeText(chosen.shape)}; ${task} needs ${rank} dimensions: name another output in output.${key} of model.yaml`,
    );
  return chosen;
}
