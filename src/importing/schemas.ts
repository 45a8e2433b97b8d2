/**
 * What the schemas of files share: advice for unknown keys, and lists and maps that stop at the first elements that are
 * wrong. Those of zod collect every problem, and a file can have millions of elements, each of which takes kilobytes then.
 */
import { z } from 'zod';
import { suggest } from '../catalog/suggest.js';
import { listed, quoted } from '../tasks/problems.js';

/** Problems of a file that are reported. */
export const MAX_PROBLEMS = 20;

interface Sizes {
  readonly min?: number;
  readonly max?: number;
}

export function listOf<T>(element: z.ZodType<T>, { min = 0, max = Number.MAX_SAFE_INTEGER }: Sizes = {}) {
  const list = z.array(z.unknown()).min(min).max(max);
  return list.transform((values, context) => checked(values.entries(), element, context).map(([, value]) => value));
}

export function mapOf<T>(element: z.ZodType<T>) {
  return z
    .record(z.string(), z.unknown())
    .transform((values, context) => Object.fromEntries(checked(Object.entries(values), element, context)));
}

function checked<K extends string | number, T>(
  entries: Iterable<readonly [K, unknown]>,
  element: z.ZodType<T>,
  context: z.RefinementCtx,
): [K, T][] {
  const found: [K, T][] = [];
  for (const [key, value] of entries) {
    const result = element.safeParse(value, { error: unknownKeys });
    if (result.success) found.push([key, result.data]);
    else for (const issue of result.error.issues) context.addIssue({ ...issue, path: [key, ...issue.path] } as never);
    if (context.issues.length >= MAX_PROBLEMS) break;
  }
  return found;
}

const MAX_UNKNOWN_KEYS = 3;

/** What to write instead of keys that the schema does not have. */
export const unknownKeys: z.core.$ZodErrorMap = ({ code, keys, inst }) => {
  if (code !== 'unrecognized_keys') return undefined;
  const { shape = {} } = (inst as z.ZodObject | undefined) ?? {};
  const known = Object.keys(shape);
  const named = (keys as string[]).slice(0, MAX_UNKNOWN_KEYS).map((key) => {
    const similar = suggest(key, known);
    const advice = similar.length > 0 ? `did you mean ${similar.join(' or ')}?` : `use one of ${listed(known)}`;
    return `unknown key "${quoted(key)}"; ${advice}`;
  });
  return named.join('; ');
};
