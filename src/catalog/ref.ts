/** Version references: "spam-filter", "spam-filter@champion" or "spam-filter:3". */
import { type InputProblem, InvalidInputError } from '../errors.js';
import { describe } from '../tasks/problems.js';

export const MODEL_NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;
const ALIAS_NAME = /^[a-z][a-z0-9-]{0,31}$/;
const NUMBER = /^[1-9][0-9]{0,8}$/;

export interface Ref {
  readonly name: string;
  readonly alias: string | null;
  readonly number: number | null;
}

/** @throws InvalidInputError at `path` if the text is not a version reference */
export function parseRef(text: string, path: readonly string[]): Ref {
  const [, name = '', separator, rest = ''] = /^([^@:]*)([@:])?(.*)$/s.exec(text) ?? [];
  const isRef =
    MODEL_NAME.test(name) &&
    (separator === undefined || (separator === '@' ? ALIAS_NAME.test(rest) : NUMBER.test(rest)));
  if (!isRef) throw new InvalidInputError([notARef(text, path)]);
  return {
    name,
    alias: separator === '@' ? rest : null,
    number: separator === ':' ? Number(rest) : null,
  };
}

export function isAliasName(text: string): boolean {
  return ALIAS_NAME.test(text);
}

function notARef(text: string, path: readonly string[]): InputProblem {
  return {
    path,
    code: text === '' ? 'EMPTY' : 'UNREADABLE',
    message: text === '' ? 'the version reference is empty' : 'the version reference is malformed',
    expected: '"name", "name@alias" or "name:number"',
    received: describe(text),
  };
}
