/**
 * Defines a task: everything that the importer, the server and the workers need to know about it, in one value.
 *
 * The importer uses `recognizes` to find the task of a repository, `head` to find out what the graph's outputs mean, and
 * `examples` to find an input that works. The server checks inputs with `reads` and `check`. A worker calls `preprocess`,
 * runs the graph, and postprocesses the outputs. Native libraries are passed in as `Tools`: a task never imports them.
 */
import type { Answer } from './answer.js';
import type { TensorData } from './datatypes.js';
import type { AnyInput } from './define-input.js';
import type { ImageTools } from './image.js';
import type { Problems } from './problems.js';
import type { Tokenizer } from './sequences.js';
import type { ModelFiles, TaskSources } from './sources.js';
import type { Example, SpecBase, SpecPart, SpecParts, Widget } from './spec.js';
import type { Target } from './targets.js';

/** Functions that need native libraries, provided by the worker. */
export interface Tools extends ImageTools {
  /** The version's tokenizer; null if it has none. */
  readonly tokenizer: Tokenizer | null;
}

/** A preprocessed item, ready for the graph. */
export interface Preprocessed {
  /** Inputs of the graph: a set of tensors for each row of the item, or a single set that contains several rows. */
  readonly rows: readonly (readonly TensorData[])[];
  /**
   * Computes the answer from the outputs of each row, in the order of `rows`.
   *
   * @throws UnusableOutputError
   */
  readonly postprocess: (outputs: readonly (readonly TensorData[])[]) => Answer;
}

/** The spec of a version with this task. */
export type SpecOf<Name, Kind, Part extends SpecPart, Head> = SpecBase &
  SpecParts[Part] & { readonly task: Name; readonly inputKind: Kind; readonly head: Head };

/** Says which outputs of the graph an answer is computed from, and how. */
interface AnyHead {
  readonly kind: string;
}

/** Functions are declared as methods, which makes tasks with different specs assignable to `AnyTask`. */
export interface TaskDefinition<
  Name extends string,
  Inputs extends readonly [AnyInput, ...AnyInput[]],
  Part extends SpecPart,
  Head extends AnyHead,
  Spec = SpecOf<Name, Inputs[number]['kind'], Part, NoInfer<Head>>,
> {
  /** The name on the Hugging Face Hub, as a GraphQL enum value. */
  readonly name: Name;
  /** False for a task that the Hub does not have. */
  readonly isOnHub?: false;
  /** Description of the GraphQL enum value: a sentence that says what a model of this task does. */
  readonly description: string;
  /**
   * Accepted kinds of input, besides tensors, which every task accepts. `signature.inputKind` is the first that the version
   * accepts.
   */
  readonly reads: Inputs;
  /** Determines which parts of the spec are present: columns, text or image. */
  readonly part: Part;
  /** The kinds of answer that `preprocess` and `postprocess` compute. To an input of tensors, an answer may also be tensors. */
  readonly answers: readonly Answer['kind'][];
  /** Whether answers are labels of the version, which then must be in model.yaml, the repository's files or the graph. */
  readonly hasLabels?: boolean;
  /** For tasks that read tokens. */
  readonly tokens?: {
    /** `windows`: a long text is read in overlapping windows. `truncate`: only its beginning is read. */
    readonly longInputs: 'windows' | 'truncate';
    /** Whether a text is tokenized to its end even if it is truncated. */
    readonly tokenizesAll?: boolean;
    /** Whether static embeddings are among the models of this task. */
    readonly embeds?: boolean;
    /** Whether the prompts of sentence-transformers stand before texts. */
    readonly hasPrompts?: boolean;
    /** Maximum length of a sequence in tokens, unless model.yaml sets `tokens.max`. */
    readonly maxTokens?: number;
    /** Whether texts contain a mask token. */
    readonly hasMask?: boolean;
    /** Maximum number of tokens in one run; 4,096 by default. */
    readonly maxTokensPerRun?: number;
  };
  /** Whether the files of a Hugging Face repository describe a model of this task. */
  recognizes?(files: ModelFiles): boolean;
  /** Finds the outputs to read. @throws ManifestError that names the missing output or key */
  head(sources: TaskSources): Head;
  /** Names of the outputs that an answer needs; null for all. */
  outputs(head: NoInfer<Head>): readonly string[] | null;
  /** What the version predicts, for tasks whose answers are numbers or several classes. */
  targets?(head: NoInfer<Head>): readonly Target[];
  /** The kind of answer to an input of `signature.inputKind`; the first of `answers` by default. */
  answerKind?(head: NoInfer<Head>): Answer['kind'];
  /** Boxes of an image, at most, among which `postprocess` suppresses overlaps; for the price of an input. */
  comparedBoxes?(spec: Spec): number;
  /** Candidates for the version's example, best first. @throws ManifestError */
  examples(spec: Spec, widget: Widget): readonly Example[];
  /** Checks what depends on the task, after the check of the input's kind. */
  check?(item: ReturnType<Inputs[number]['check']>, spec: Spec, problems: Problems): void;
  /** @throws UnreadableItemError if decoding or tokenizing shows that the input is not valid */
  preprocess(item: ReturnType<Inputs[number]['check']>, spec: Spec, tools: Tools): Preprocessed | Promise<Preprocessed>;
  /** Computes the answer to an input of tensors; if absent, the outputs are returned as they are. @throws UnusableOutputError */
  postprocess?(outputs: readonly TensorData[], spec: Spec): Answer;
  /**
   * Whether the server may call `postprocess`: it takes time in proportion to the outputs, and answers rows and time series
   * too.
   */
  readonly answersInServer?: true;
}
// biome-ignore lint/suspicious/noExplicitAny: each task has its own type of spec.
export type AnyTask = TaskDefinition<string, readonly [AnyInput, ...AnyInput[]], SpecPart, AnyHead, any>;

export function defineTask<
  const Name extends string,
  const Inputs extends readonly [AnyInput, ...AnyInput[]],
  const Part extends SpecPart,
  Head extends AnyHead,
>(definition: TaskDefinition<Name, Inputs, Part, Head>): TaskDefinition<Name, Inputs, Part, Head> {
  return definition;
}

/** A preprocessed item with a single row. */
export function oneRow(
  tensors: readonly TensorData[],
  postprocess: (outputs: readonly TensorData[]) => Answer,
  isTruncated = false,
): Preprocessed {
  const answer = ([outputs = []]: readonly (readonly TensorData[])[]) => postprocess(outputs);
  return { rows: [tensors], postprocess: isTruncated ? (rows) => ({ ...answer(rows), isTruncated }) : answer };
}
