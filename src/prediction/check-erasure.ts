/** Checks what is to be erased, before anything is. */
import type { Principal } from '../access/principal.js';
import { ForbiddenError, type InputProblem, InvalidInputError } from '../errors.js';
import { typeOfId } from '../storage/ids.js';
import type { ErasePredictionsInput } from './erasure.input.js';
import type { Wanted } from './erasures.js';
import { MAX_SUBJECT_CHARACTERS } from './request-limits.js';

/** Predictions that one request deletes. */
export const MAX_DELETED = 100;
const MAX_ID_CHARACTERS = 100;
/** Names of accounts, those of tokens included. */
const MAX_ACCOUNT_CHARACTERS = 1_000;

/** A key that is bound to models would erase predictions of others, which it may not read. @throws ForbiddenError */
function checkUnbound({ key }: Principal): void {
  if (key?.models) throw new ForbiddenError('Erasing predictions', 'keys that are not bound to models');
}

/** @throws InvalidInputError that names everything wrong; ForbiddenError for keys that are bound to models */
export function checkErasure(input: ErasePredictionsInput, principal: Principal): Wanted {
  checkUnbound(principal);
  const { account, subject = null, keyId = null, from = null, to = null } = input;
  const problems = [
    ...lengthProblems('account', account, MAX_ACCOUNT_CHARACTERS),
    ...lengthProblems('subject', subject, MAX_SUBJECT_CHARACTERS),
    ...lengthProblems('keyId', keyId, MAX_ID_CHARACTERS),
  ];
  if (subject === null && keyId === null && from === null && to === null)
    problems.push({
      path: ['input'],
      code: 'MISSING',
      message: 'there is no condition',
      expected: 'subject, keyId, from or to',
      received: null,
    });
  if (from && to && from >= to)
    problems.push({
      path: ['input', 'to'],
      code: 'OUT_OF_RANGE',
      message: 'the range of time is empty',
      expected: `a time after ${from.toISOString()}`,
      received: to.toISOString(),
    });
  if (problems.length > 0) throw new InvalidInputError(problems);
  return { account, subject, keyId, from, to, predictions: null };
}

function lengthProblems(field: string, text: string | null, max: number): InputProblem[] {
  if (text === null || (text.length >= 1 && text.length <= max && text.isWellFormed())) return [];
  const code = text === '' ? 'EMPTY' : text.length > max ? 'TOO_LARGE' : 'UNREADABLE';
  const expected = `1 to ${max} characters of valid Unicode`;
  return [
    { path: ['input', field], code, message: 'is not accepted', expected, received: `${text.length} characters` },
  ];
}

/** @throws InvalidInputError; ForbiddenError for keys that are bound to models */
export function checkDeletion(ids: readonly string[], principal: Principal): Wanted {
  checkUnbound(principal);
  const { id: account } = principal;
  const wrong = ids.findIndex((id) => id.length > MAX_ID_CHARACTERS || typeOfId(id) !== 'Prediction');
  if (ids.length < 1 || ids.length > MAX_DELETED)
    throw new InvalidInputError([
      {
        path: ['ids'],
        code: ids.length === 0 ? 'EMPTY' : 'TOO_LARGE',
        message: 'this many ids are not accepted',
        expected: `1 to ${MAX_DELETED} ids`,
        received: `${ids.length} ids`,
      },
    ]);
  if (wrong >= 0)
    throw new InvalidInputError([
      {
        path: ['ids', String(wrong)],
        code: 'WRONG_KIND',
        message: 'this is no id of a prediction',
        expected: 'an id of a prediction',
        received: JSON.stringify(ids[wrong]),
      },
    ]);
  return { account, subject: null, keyId: null, from: null, to: null, predictions: ids };
}
