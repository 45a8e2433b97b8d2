/** Checks everything in a prediction request except the inputs themselves: options, keys and the number of inputs. */
import { type InputProblem, InvalidInputError } from '../errors.js';
import { describe, Problems } from '../tasks/problems.js';
import type { ModelInput } from '../tasks/tasks.js';
import type { PredictInput, PredictManyInput } from './prediction.input.js';
import { MAX_DEADLINE_MS, MAX_INPUTS, MAX_KEY_CHARACTERS, MAX_SUBJECT_CHARACTERS } from './request-limits.js';

/** @throws InvalidInputError that names every option out of range */
export function checkOptions(input: Partial<PredictInput>): void {
  const { deadlineMs, idempotencyKey, record, subject } = input;
  const problems: InputProblem[] = [];
  if (deadlineMs != null && (deadlineMs < 1 || deadlineMs > MAX_DEADLINE_MS)) {
    const expected = `1 to ${MAX_DEADLINE_MS} ms`;
    problems.push(problem('deadlineMs', 'OUT_OF_RANGE', 'the deadline is out of range', expected, `${deadlineMs} ms`));
  }
  if (idempotencyKey != null) problems.push(...keyProblems(idempotencyKey, record));
  if (subject != null) problems.push(...textProblems('subject', subject, MAX_SUBJECT_CHARACTERS));
  if (problems.length > 0) throw new InvalidInputError(problems);
}

/** What `checkInput` would find too, before a digest is made of the input. @throws InvalidInputError */
export function checkLists({ tensors }: ModelInput): void {
  for (const [i, { data }] of (tensors ?? []).entries()) {
    if (data === undefined || data === null || Array.isArray(data)) continue;
    const problems = new Problems(['input', 'input', 'tensors', String(i)]);
    problems.add(['data'], 'WRONG_TYPE', 'data is not a list', 'a list of values, flat or nested', data);
    problems.throwIfAny();
  }
}

function keyProblems(key: string, record: boolean | undefined): InputProblem[] {
  const problems = textProblems('idempotencyKey', key, MAX_KEY_CHARACTERS);
  if (record === false)
    problems.push(
      problem(
        'idempotencyKey',
        'WRONG_KIND',
        'an idempotency key requires record: true',
        'record: true, or no key',
        'a key with record: false',
      ),
    );
  return problems;
}

const NAMES = { idempotencyKey: 'idempotency key', subject: 'subject' } as const;

function textProblems(field: keyof typeof NAMES, text: string, max: number): InputProblem[] {
  const problems: InputProblem[] = [];
  const add = (code: InputProblem['code'], message: string, expected: string, received: string) =>
    problems.push(problem(field, code, `the ${NAMES[field]} is ${message}`, expected, received));
  const lengths = `1 to ${max} characters`;
  if (text === '') add('EMPTY', 'empty', lengths, '""');
  if (text.length > max) add('TOO_LARGE', 'too long', lengths, `${text.length} characters`);
  if (!text.isWellFormed()) add('UNREADABLE', 'not valid Unicode', 'valid Unicode', describe(text));
  return problems;
}

/** @throws InvalidInputError unless there are either rows, or 1 to `MAX_INPUTS` inputs */
export function checkBatch({ inputs, rows }: Pick<PredictManyInput, 'inputs' | 'rows'>): void {
  if ((inputs == null) === (rows == null)) {
    const received = rows == null ? 'neither' : 'both';
    const message = 'exactly one of inputs and rows is required';
    throw new InvalidInputError([problem('inputs', 'WRONG_KIND', message, 'inputs or rows', received)]);
  }
  if (inputs == null) return;
  if (inputs.length >= 1 && inputs.length <= MAX_INPUTS) return;
  const [code, message] =
    inputs.length === 0 ? (['EMPTY', 'the list is empty'] as const) : (['TOO_LARGE', 'the list is too long'] as const);
  throw new InvalidInputError([
    problem('inputs', code, message, `1 to ${MAX_INPUTS} inputs`, `${inputs.length} inputs`),
  ]);
}

function problem(
  field: string,
  code: InputProblem['code'],
  message: string,
  expected: string,
  received: string,
): InputProblem {
  return { path: ['input', field], code, message, expected, received };
}
