/** Predicts a number from a row of named columns. */
import { ManifestError } from '../errors.js';
import type { AnswerOf } from './answer.js';
import { DATATYPES, outputNamed, type TensorData } from './datatypes.js';
import { defineTask, oneRow } from './define-task.js';
import { UnusableOutputError } from './failures.js';
import { preprocessRow, rowExamples, rowInput } from './row.js';
import { onlyOutput } from './scores.js';
import type { TaskSources } from './sources.js';

/** The output has the shape [N] or [N, 1]: one number per row. */
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
  answers: ['regression'],
  head: valueHead,
  outputs: onlyOutput,
  examples: rowExamples,
  preprocess: (item, spec) => oneRow(preprocessRow(item, spec), (outputs) => postprocessValue(outputs, spec)),
  postprocess: postprocessValue,
});

function valueHead({ output, facts: { outputs } }: TaskSources): ValueHead {
  const name = output.value ?? outputs[0]?.name ?? '';
  const valueOutput = outputs.find((output) => output.name === name);
  const names = outputs.map(({ name }) => name).join(', ');
  if (!valueOutput)
    throw new ManifestError(`model.yaml: output.value is "${name}", but the graph's outputs are ${names}`);
  if (!DATATYPES[valueOutput.datatype])
    throw new ManifestError(
      `output "${name}" is ${valueOutput.datatype}, but a regression needs numbers: name another output in output.value of model.yaml`,
    );
  return { kind: 'value', output: name, unit: output.unit ?? null };
}

/** @throws UnusableOutputError if there is not exactly one number, or it is not finite */
function postprocessValue(
  outputs: readonly TensorData[],
  { head: { output, unit } }: { readonly head: ValueHead },
): AnswerOf<'regression'> {
  const data = outputNamed(outputs, output)?.data;
  if (data?.length !== 1)
    throw new UnusableOutputError(`the graph returned ${data?.length ?? 0} numbers instead of one`);
  const number = Number(data[0]);
  if (!Number.isFinite(number)) throw new UnusableOutputError(`the predicted number is ${number}`);
  return { kind: 'regression', value: number, unit };
}
