/**
 * The list of tasks. Task names, kinds of input, specs and items are derived from it. To add a task, write its file and add
 * it to the list.
 */
import type { Answer } from './answer.js';
import { type AnyInput, type AnyItem } from './define-input.js';
import { type AnyTask, oneRow, type Preprocessed, type SpecOf, type Tools } from './define-task.js';
import { featureExtraction } from './feature-extraction.js';
import { fileClassification } from './file-classification.js';
import { fillMask } from './fill-mask.js';
import { imageClassification } from './image-classification.js';
import { imageFeatureExtraction } from './image-feature-extraction.js';
import { imageSegmentation } from './image-segmentation.js';
import { imageToText } from './image-to-text.js';
import { objectDetection } from './object-detection.js';
import { oncePer } from './once-per.js';
import { Problems } from './problems.js';
import { questionAnswering } from './question-answering.js';
import { sentenceSimilarity } from './sentence-similarity.js';
import type { ModelFiles } from './sources.js';
import type { SpecBase } from './spec.js';
import { tabularClassification } from './tabular-classification.js';
import { tabularRegression } from './tabular-regression.js';
import type { Target } from './targets.js';
import { tensor } from './tensor.js';
import { postprocessTensors } from './tensor-outputs.js';
import { type TensorsItem, tensorsInput } from './tensors.js';
import { textClassification } from './text-classification.js';
import { textRanking } from './text-ranking.js';
import { tokenClassification } from './token-classification.js';
import { zeroShotClassification } from './zero-shot-classification.js';

const TASK_LIST = [
  tabularClassification,
  tabularRegression,
  textRanking,
  textClassification,
  tokenClassification,
  featureExtraction,
  sentenceSimilarity,
  zeroShotClassification,
  fillMask,
  questionAnswering,
  imageClassification,
  objectDetection,
  imageSegmentation,
  imageFeatureExtraction,
  imageToText,
  fileClassification,
  tensor,
] as const;

type Task = (typeof TASK_LIST)[number];
type Input = Task['reads'][number];

export type TaskName = Task['name'];
export type InputKind = Input['kind'];

/** The spec of a version. A union, discriminated by `task`. */
export type VersionSpec = SpecOfTask<Task>;
type SpecOfTask<T extends Task> = T extends { readonly name: infer Name; readonly part: infer Part }
  ? SpecOf<Name, T['reads'][number]['kind'], Extract<Part, Task['part']>, ReturnType<T['head']>>
  : never;

/** The input of a prediction, with exactly one key set. */
export type ModelInput = { readonly [I in Input as I['key']]?: Parameters<I['check']>[0] | null | undefined };

/** A checked input, as it is sent to a worker. */
export type Item = ReturnType<Input['check']>;

/** The task of graphs whose meaning is not known. */
export const PLAIN_TASK = tensor.name;
export const TASKS: readonly TaskName[] = TASK_LIST.map(({ name }) => name);
export const TASK_DESCRIPTIONS = Object.fromEntries(
  TASK_LIST.map(({ name, description }) => [name, description]),
) as Readonly<Record<TaskName, string>>;

const INPUTS: readonly AnyInput[] = [...new Set<AnyInput>(TASK_LIST.flatMap(({ reads }): AnyInput[] => [...reads]))];
/** The key of `ModelInput` for each kind of input. */
export const INPUT_KEYS = Object.fromEntries(INPUTS.map(({ kind, key }) => [kind, key])) as Readonly<
  Record<InputKind, string>
>;

const TASK_BY_NAME = new Map<string, AnyTask>(TASK_LIST.map((task): [string, AnyTask] => [task.name, task]));

/** The definition of a task. */
export function taskNamed(name: TaskName): AnyTask {
  return TASK_BY_NAME.get(name) as AnyTask;
}

/** Recognizes the task of a Hugging Face repository from its files; null if they do not say. */
export function recognizeTask(files: ModelFiles): TaskName | null {
  const recognized = TASK_LIST.find((task: AnyTask) => task.recognizes?.(files));
  return recognized?.name ?? null;
}

/**
 * Checks an input against the spec of a version and converts it to an item. Every version also accepts tensors.
 *
 * @throws InvalidInputError whose problems have paths that start with `prefix`
 */
export function checkInput(spec: VersionSpec, input: ModelInput, prefix: readonly string[]): Item {
  const task = taskNamed(spec.task);
  const accepted = acceptedInputs(spec);
  const problems = new Problems(prefix);
  const values = input as Readonly<Record<string, unknown>>;
  const given = INPUTS.filter(({ key }) => values[key] != null);
  const [kind] = given;
  if (given.length === 1 && kind && (isTensors(kind) || accepted.includes(kind))) {
    const item = kind.check(values[kind.key], spec, problems);
    if (!isTensors(kind)) task.check?.(item, spec, problems);
    problems.throwIfAny();
    return item as Item;
  }
  const keys = accepted.filter((kind) => !isTensors(kind)).map(({ key }) => key);
  const expected = keys.length === 0 ? 'tensors' : `${keys.join(' or ')} (or tensors)`;
  const message = given.length === 1 ? 'this model takes another kind of input' : 'exactly one key is required';
  problems.add([], 'WRONG_KIND', message, expected, given.map(({ key }) => key).join(', ') || 'nothing');
  problems.throwIfAny();
  throw new Error('Problems were added but not thrown. This is a bug.');
}

/** The kinds of input that a version with these columns and inputs accepts, besides tensors; the usual one first. */
export function inputsOf({ reads }: AnyTask, spec: Pick<SpecBase, 'columns' | 'inputs'>): readonly AnyInput[] {
  return reads.filter((kind) => kind.accepts?.(spec) ?? true);
}

const acceptedInputs = oncePer((spec: VersionSpec) => inputsOf(taskNamed(spec.task), spec));

/** What a version predicts, in the order of its answers; empty if its answers are of another kind. */
export function targetsOf({ task, head }: VersionSpec): readonly Target[] {
  return taskNamed(task).targets?.(head) ?? [];
}

/** The kind of answer to an input of the version's `inputKind`. */
export function answerKindOf({ task, head }: VersionSpec): Answer['kind'] {
  const { answers, answerKind } = taskNamed(task);
  return answerKind?.(head) ?? (answers[0] as Answer['kind']);
}

function isTensors(kind: AnyInput): boolean {
  return kind.key === tensorsInput.key;
}

function isTensorsItem(item: AnyItem): item is TensorsItem {
  return item.kind === tensorsInput.key;
}

/**
 * Converts an item to the inputs of the graph, together with the function that computes the answer from its outputs.
 *
 * @throws UnreadableItemError if decoding or tokenizing shows that the input is not valid
 */
export async function preprocessItem(item: Item, spec: VersionSpec, tools: Tools): Promise<Preprocessed> {
  const task = taskNamed(spec.task);
  if (!isTensorsItem(item)) return task.preprocess(item, spec, tools);
  return oneRow(item.tensors, (outputs) => task.postprocess?.(outputs, spec) ?? postprocessTensors(outputs));
}

/** Names of the outputs that the answer to an item needs; null for all. */
export function outputsUsed(spec: VersionSpec, item: Item): readonly string[] | null {
  return isTensorsItem(item) ? null : taskNamed(spec.task).outputs(spec.head);
}

/** The kinds of answer that a version may give to an item. */
export function answerKinds(task: TaskName, item: Item): readonly Answer['kind'][] {
  const { answers } = taskNamed(task);
  return isTensorsItem(item) ? [...answers, 'tensors'] : answers;
}
