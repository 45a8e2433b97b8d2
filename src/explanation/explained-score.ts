/** The number that an explanation is about: the score of the class that was answered, or the number that was predicted. */
import { InferenceFailedError, InvalidInputError } from '../errors.js';
import type { PredictionColumns } from '../prediction/columns.type.js';
import type { Answer } from '../tasks/answer.js';

export interface ExplainedScore {
  /** Null for a number. */
  readonly label: string | null;
  /** The scores of several answers. @throws InferenceFailedError if one of them has none */
  readonly of: (columns: PredictionColumns) => ArrayLike<number>;
}

/** `labels`: of the version. @throws InvalidInputError if there is no single number to explain */
export function explainedScore(answer: Answer, labels: readonly string[]): ExplainedScore {
  if (answer.kind === 'regression')
    return {
      label: null,
      of: (columns) => listed(columns, columns.values()?.value() as ArrayLike<number> | undefined),
    };
  if (answer.kind !== 'classification' || answer.labels)
    throw unexplained(`the answer is of kind ${answer.kind}`, 'one class of the version, or one number');
  if (!answer.scores) throw unexplained('the model answers classes without scores', 'a model that returns scores');
  const index = labels.indexOf(answer.label);
  return {
    label: answer.label,
    of: (columns) => {
      const all = listed(columns, columns.classScores()?.value() as ArrayLike<number> | undefined);
      return Float64Array.from({ length: columns.count }, (_, row) => all[row * labels.length + index] as number);
    },
  };
}

function listed(columns: PredictionColumns, values: ArrayLike<number> | undefined): ArrayLike<number> {
  const [first] = columns.problems();
  if (first)
    throw new InferenceFailedError(
      `a changed input cannot be answered: ${first.problem.message}`,
      first.problem.retryable,
    );
  if (!values) throw new InferenceFailedError('a changed input has an answer of another kind');
  return values;
}

/** The problem with a prediction that cannot be explained. */
export function unexplained(message: string, expected: string): InvalidInputError {
  return new InvalidInputError([
    {
      path: ['explanation'],
      code: 'WRONG_KIND',
      message: `it cannot be explained: ${message}`,
      expected,
      received: null,
    },
  ]);
}
