/** Checks what is wanted of a new API key, whether it comes from GraphQL or from `npm run keys`. */
import { type InputProblem, InvalidInputError } from '../errors.js';
import { ACCOUNT_NAME, isAccountName } from './account.js';
import type { NewApiKey } from './api-keys.js';
import { problemsOfLimits } from './key-limits.js';
import { ROLES } from './roles.js';

/** How long a rotated key may still be accepted: 90 days. */
export const MAX_OVERLAP_MS = 90 * 86_400_000;
const MAX_NAME_CHARACTERS = 100;
const FIELD = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const MODEL = /^[a-z0-9][a-z0-9-]{0,63}(@[a-z][a-z0-9-]{0,31})?$/;
const PUBLISHABLE_ROLES: readonly string[] = ['viewer', 'predictor'];

/** Returns what was wanted. @throws InvalidInputError that names everything wrong, with paths that start with `prefix` */
export function checkNewKey(wanted: NewApiKey, prefix: readonly string[]): NewApiKey {
  const problems: InputProblem[] = [];
  const add = (field: string, code: InputProblem['code'], message: string, expected: string, received: unknown) =>
    problems.push({ path: [...prefix, field], code, message, expected, received: JSON.stringify(received) ?? null });
  const { name, account, kind, roles, expiresAt } = wanted;
  if (name.length < 1 || name.length > MAX_NAME_CHARACTERS)
    add(
      'name',
      name ? 'TOO_LARGE' : 'EMPTY',
      'the name has a length that is not accepted',
      `1 to ${MAX_NAME_CHARACTERS} characters`,
      name.slice(0, 200),
    );
  if (!isAccountName(account))
    add('account', 'UNREADABLE', 'this is no name of an account', ACCOUNT_NAME, account.slice(0, 200));
  const allowed = kind === 'publishable' ? PUBLISHABLE_ROLES : ROLES;
  if (roles.length === 0 || !roles.every((role) => allowed.includes(role)) || new Set(roles).size < roles.length)
    add('roles', 'WRONG_KIND', 'these roles are not accepted', `one or more of ${allowed.join(', ')}`, roles);
  if (expiresAt && expiresAt.getTime() <= Date.now())
    add('expiresAt', 'OUT_OF_RANGE', 'the time has passed', 'a time in the future', expiresAt.toISOString());
  for (const rule of LISTS) {
    const list = wanted[rule.field];
    if (list === null) {
      if (kind === 'publishable')
        add(rule.field, 'MISSING', 'a publishable key needs this list', `1 to ${rule.most} ${rule.what}`, null);
    } else if (rule.field === 'origins' && kind !== 'publishable')
      add(rule.field, 'WRONG_KIND', 'only publishable keys are bound to origins', 'a publishable key', list);
    else if (list.length === 0 || list.length > rule.most || !list.every(rule.isValid))
      add(rule.field, 'UNREADABLE', 'this list is not accepted', `1 to ${rule.most} ${rule.what}`, list.slice(0, 20));
  }
  problems.push(...problemsOfLimits(wanted.limits, [...prefix, 'limits']));
  if (problems.length > 0) throw new InvalidInputError(problems);
  return { ...wanted, name: name.toWellFormed() };
}

const LISTS = [
  {
    field: 'operations',
    most: 50,
    what: 'names of root fields, such as predict',
    isValid: (text: string) => FIELD.test(text),
  },
  {
    field: 'models',
    most: 100,
    what: 'models or aliases, such as spam-filter or spam-filter@canary',
    isValid: (text: string) => MODEL.test(text),
  },
  { field: 'origins', most: 20, what: 'origins, such as https://example.com', isValid: isOrigin },
] as const;

/** An origin as browsers send it. */
function isOrigin(text: string): boolean {
  return text.length <= 300 && /^https?:$/.test(URL.parse(text)?.protocol ?? '') && URL.parse(text)?.origin === text;
}
