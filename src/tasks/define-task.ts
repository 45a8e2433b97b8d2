/**
 * What a task is: everything that the importer, the server and the worker need to know of it, in one value.
 *
 * The importer asks whether files are of the task (`recognizes`), what the outputs of the graph mean (`head`) and for an
 * input that works (`examples`). The server checks inputs (`reads`, `check`). The worker preprocesses
 * items, runs the graph and postprocesses its outputs. Libraries are handed in as `Tools`, so a task has no native imports.
 */
import type { Answer } from './answer.js';
import type { TensorData } from './datatypes.js';
import type { AnyInput } from './define-input.js';
import type { ImageTools } from './image.js';
import type { Problems } from './problems.js';
import type { Tokenizer } from './sequences.js';
import type { ModelFiles, TaskSources } from './sources.js';
import type { Example, SpecBase, SpecPart, SpecParts, Widget } from './spec.js';

/** What a worker lends to tasks: everything that needs a library. */
export interface Tools extends ImageTools {
  /** The tokenizer of the version; null where it has none. */
  readonly tokenizer: Tokenizer | null;
}

/** One item on its way through the graph. */
export interface Preprocessed {
  /** Inputs of the graph: one set of tensors for each row that the item fills, or one set of several rows. */
  readonly rows: readonly (readonly TensorData[])[];
  /**
   * From the outputs of each row, in order, to the answer.
   *
   * @throws UnusableOutput
   */
  readonly postprocess: (outputs: readonly (readonly TensorData[])[]) => Answer;
}

/** The spec of a version of a task. */
export type SpecOf<Name, Kind, Part extends SpecPart, Head> = SpecBase &
  SpecParts[Part] & { readonly task: Name; readonly inputKind: Kind; readonly head: Head };

/** Which outputs of the graph hold what. */
interface AnyHead {
  readonly kind: string;
}

/** Methods, not properties: a list of tasks with different specs is a list of `AnyTask`. */
export interface TaskDefinition<
  Name extends string,
  Inputs extends readonly [AnyInput, ...AnyInput[]],
  Part extends SpecPart,
  Head extends AnyHead,
  Spec = SpecOf<Name, Inputs[0]['kind'], Part, NoInfer<Head>>,
> {
  /** In Hugging Face's vocabulary, as a GraphQL enum value. */
  readonly name: Name;
  /** Of the GraphQL enum value: what a model of this task does, as a sentence. */
  readonly description: string;
  /** The kinds of input besides tensors, which every task reads; the signature names the first. */
  readonly reads: Inputs;
  readonly part: Part;
  /** Whether the answer is one of a version's labels, which the files or model.yaml must name. */
  readonly hasLabels?: boolean;
  /** Most characters in all texts of one `predictMany`, where their answers together could be too large to return. */
  readonly maxCharactersTogether?: number;
  /** For tasks that read tokens: what becomes of long texts, and limits that transformers sets. */
  readonly tokens?: {
    /** `windows`: a long text is read whole, in windows that overlap. `truncate`: its beginning is read. */
    readonly longInputs: 'windows' | 'truncate';
    /** Longest sequence in tokens, unless model.yaml says otherwise. */
    readonly maxTokens?: number;
    /** Whether texts hold a mask token. */
    readonly hasMask?: boolean;
    /** Most tokens in one run; default 4,096. */
    readonly maxTokensPerRun?: number;
  };
  /** Whether a Hugging Face repository is one of this task. */
  recognizes?(files: ModelFiles): boolean;
  /** @throws ManifestError that names the output or the key that is missing */
  head(sources: TaskSources): Head;
  /** The outputs that an answer needs; null for all of them. */
  outputs(head: NoInfer<Head>): readonly string[] | null;
  /** Inputs that may serve as the example, best first. @throws ManifestError */
  examples(spec: Spec, widget: Widget): readonly Example[];
  /** What the check of the kind of input cannot know. */
  check?(item: ReturnType<Inputs[number]['check']>, spec: Spec, problems: Problems): void;
  /** @throws UnreadableItemError for what only decoding or tokenizing tells */
  preprocess(item: ReturnType<Inputs[number]['check']>, spec: Spec, tools: Tools): Preprocessed | Promise<Preprocessed>;
  /** The answer to tensors, where outputs alone make one; without it the answer is the outputs. @throws UnusableOutput */
  postprocess?(outputs: readonly TensorData[], spec: Spec): Answer;
}
// biome-ignore lint/suspicious/noExplicitAny: the spec of whichever task.
export type AnyTask = TaskDefinition<string, readonly [AnyInput, ...AnyInput[]], SpecPart, AnyHead, any>;

export function defineTask<
  const Name extends string,
  const Inputs extends readonly [AnyInput, ...AnyInput[]],
  const Part extends SpecPart,
  Head extends AnyHead,
>(definition: TaskDefinition<Name, Inputs, Part, Head>): TaskDefinition<Name, Inputs, Part, Head> {
  return definition;
}

/** An item that fills one row, whose outputs alone make the answer. */
export function oneRow(
  tensors: readonly TensorData[],
  postprocess: (outputs: readonly TensorData[]) => Answer,
  isTruncated = false,
): Preprocessed {
  const answer = ([own = []]: readonly (readonly TensorData[])[]) => postprocess(own);
  return { rows: [tensors], postprocess: isTruncated ? (outputs) => ({ ...answer(outputs), isTruncated }) : answer };
}
