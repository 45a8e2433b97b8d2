/** A number for a row of named columns. */
import { ManifestError } from '../errors.js';
import type { AnswerOf } from './answer.js';
import { DATATYPES, outputNamed, type TensorData } from './datatypes.js';
import { defineTask, oneRow } from './define-task.js';
import { UnusableOutputError } from './failures.js';
import { preprocessRow, rowExamples, rowInput } from './row.js';
import { onlyOutput } from './scores.js';
import type { TaskSources } from './sources.js';

/** [N] or [N, 1]: one number. */
interface ValueHead {
  readonly kind: 'value';
  readonly output: string;
  readonly unit: string | null;
}

export const tabularRegression = defineTask({
  name: 'TABULAR_REGRESSION',
  description: 'Predicts a number from a row of named columns.',
  reads: [rowInput],
  part: 'row',
  head: valueHead,
  outputs: onlyOutput,
  examples: rowExamples,
  preprocess: (item, spec) => oneRow(preprocessRow(item, spec), (outputs) => postprocessValue(outputs, spec)),
  postprocess: postprocessValue,
});

function valueHead({ output, facts: { outputs } }: TaskSources): ValueHead {
  const name = output.value ?? outputs[0]?.name ?? '';
  const found = outputs.find((one) => one.name === name);
  const names = outputs.map(({ name }) => name).join(', ');
  if (!found) throw new ManifestError(`model.yaml: output.value is "${name}"; the graph's outputs are ${names}`);
  if (!DATATYPES[found.datatype]) throw new ManifestError(`output "${name}" is ${found.datatype}, not a number`);
  return { kind: 'value', output: name, unit: output.unit ?? null };
}

/** @throws UnusableOutput when there is not exactly one number, or it is not finite */
function postprocessValue(
  outputs: readonly TensorData[],
  { head: { output, unit } }: { readonly head: ValueHead },
): AnswerOf<'regression'> {
  const data = outputNamed(outputs, output)?.data;
  if (data?.length !== 1) throw new UnusableOutputError(`it gave ${data?.length ?? 0} numbers instead of one`);
  const number = Number(data[0]);
  if (!Number.isFinite(number)) throw new UnusableOutputError(`it gave ${number}`);
  return { kind: 'regression', value: number, unit };
}
