/** The limits of an API key, as they are wanted and as they apply. */
import { type InputProblem, InvalidInputError } from '../errors.js';
import type { KeyKind } from './api-key.js';
import type { QuotaLimits } from './quota.js';

export const LIMIT_NAMES = [
  'operationsPerSecond',
  'operationsPerDay',
  'computeMsPerSecond',
  'computeMsPerDay',
  'bytesPerSecond',
  'bytesPerDay',
] as const satisfies readonly (keyof QuotaLimits)[];
type LimitName = (typeof LIMIT_NAMES)[number];

/** What is wanted: a name that is left out or null is not limited. */
export type WantedLimits = Partial<Readonly<Record<LimitName, number | null>>>;

/** Of a publishable key, where none is given: programs can forge its origins, so these protect from who misuses it. */
export const PUBLISHABLE_LIMITS: QuotaLimits = {
  operationsPerSecond: 50,
  operationsPerDay: 100_000,
  computeMsPerSecond: 500,
  computeMsPerDay: 3_600_000,
  bytesPerSecond: 10_000_000,
  bytesPerDay: 2_000_000_000,
};

/** The limits that apply; null if nothing is limited. */
export function limitsOf(kind: KeyKind, wanted: WantedLimits | null): QuotaLimits | null {
  const limits = Object.fromEntries(
    LIMIT_NAMES.map((name) => [name, wanted?.[name] ?? (kind === 'publishable' ? PUBLISHABLE_LIMITS[name] : null)]),
  ) as Record<LimitName, number | null>;
  return LIMIT_NAMES.some((name) => limits[name] !== null) ? limits : null;
}

/** What is wrong with the limits that are wanted. `path`: that of their object. */
export function problemsOfLimits(wanted: WantedLimits | null, path: readonly string[]): InputProblem[] {
  return LIMIT_NAMES.flatMap((name) => {
    const limit = wanted?.[name] ?? null;
    if (limit === null || (Number.isSafeInteger(limit) && limit >= 1)) return [];
    return {
      path: [...path, name],
      code: 'OUT_OF_RANGE' as const,
      message: 'this limit is not accepted',
      expected: `a whole number from 1 to ${Number.MAX_SAFE_INTEGER}`,
      received: String(limit),
    };
  });
}

/** @throws InvalidInputError */
export function checkLimits(wanted: WantedLimits | null, path: readonly string[]): WantedLimits | null {
  const problems = problemsOfLimits(wanted, path);
  if (problems.length > 0) throw new InvalidInputError(problems);
  return wanted;
}
