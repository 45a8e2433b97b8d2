/**
 * The tasks, each with what happens before and after its graph.
 *
 * `check` runs in the server: is this input what the spec asks for? `prepare` and `finish` run in a worker.
 * A new task is one more entry here, one file beside it if its input or answer is new, and one output type.
 */
import { finishClassification } from './classification.js';
import { type TensorData } from './datatypes.js';
import { checkImage, type ImageTools, prepareImage } from './image.js';
import { type Answer, type Item, type ModelInput, Problems } from './input.js';
import { finishRegression } from './regression.js';
import { checkRow, prepareRow } from './row.js';
import type { InputKind, TaskName, VersionSpec } from './spec.js';
import { checkTensors, finishTensors } from './tensors.js';
import { checkText, prepareText } from './text.js';

/** What a worker lends to tasks: everything that needs native code. */
export type Tools = ImageTools;

interface Task {
  readonly inputKind: InputKind;
  readonly finish: (outputs: readonly TensorData[], spec: VersionSpec) => Answer;
}

export const TASK: Readonly<Record<TaskName, Task>> = {
  TABULAR_CLASSIFICATION: { inputKind: 'ROW', finish: finishClassification },
  TABULAR_REGRESSION: { inputKind: 'ROW', finish: finishRegression },
  TEXT_CLASSIFICATION: { inputKind: 'TEXT', finish: finishClassification },
  IMAGE_CLASSIFICATION: { inputKind: 'IMAGE', finish: finishClassification },
  TENSOR: { inputKind: 'TENSORS', finish: finishTensors },
};

const KEY_OF: Readonly<Record<InputKind, keyof ModelInput>> = {
  ROW: 'row',
  TEXT: 'text',
  IMAGE: 'image',
  TENSORS: 'tensors',
};

const CHECKS: Readonly<Record<InputKind, typeof checkRow>> = {
  ROW: checkRow,
  TEXT: checkText,
  IMAGE: checkImage,
  TENSORS: checkTensors,
};

/**
 * Is this input what the version asks for? Tensors are accepted by every version.
 *
 * @throws InvalidInputError that names each path below `prefix`, what was expected and what came.
 */
export function check(spec: VersionSpec, input: ModelInput, prefix: readonly string[]): Item {
  const keys = (Object.keys(KEY_OF) as InputKind[]).filter((kind) => {
    const value = input[KEY_OF[kind]];
    return value !== undefined && value !== null;
  });
  const [kind] = keys;
  if (keys.length === 1 && kind && (kind === spec.inputKind || kind === 'TENSORS')) {
    return CHECKS[kind](spec, input, prefix);
  }
  const problems = new Problems(prefix);
  const wanted = spec.inputKind === 'TENSORS' ? 'tensors' : `${KEY_OF[spec.inputKind]} (or tensors)`;
  const message = keys.length === 1 ? 'this model reads another kind of input' : 'exactly one key is given';
  problems.add([], 'WRONG_KIND', message, wanted, keys.map((key) => KEY_OF[key]).join(', ') || 'nothing');
  problems.throwIfAny();
  throw new Error('Problems were added but not thrown. This is a bug.');
}

/** The graph's inputs for one item, each with a first size of `item.rows`. */
export async function prepare(item: Item, spec: VersionSpec, tools: Tools): Promise<readonly TensorData[]> {
  if (item.kind === 'row') return prepareRow(item, spec);
  if (item.kind === 'text') return prepareText(item, spec);
  if (item.kind === 'image') return prepareImage(item, spec, tools);
  return item.tensors;
}
