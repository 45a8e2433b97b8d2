/** Unusual values: malformed JSON, words with a special meaning to some software, and mutations of both. */
import { below, list, pick, type Random } from '../../support/seeded-random.ts';

/** JSON that `JSON.stringify` cannot produce; `toJson` writes it verbatim. */
const RAW: Readonly<Record<string, string>> = {
  infinity: '1e999',
  minusInfinity: '-1e999',
  minusZero: '-0',
  beyondSafe: '9007199254740993',
  manyDigits: '9'.repeat(400),
  deepLists: `${'['.repeat(5_000)}${']'.repeat(5_000)}`,
  deepObjects: `${'{"a":'.repeat(2_000)}1${'}'.repeat(2_000)}`,
  prototype: '{"__proto__":{"row":{},"text":"a"},"constructor":{"prototype":{}}}',
  twice: '{"text":"a","text":{"text":"b"}}',
};

export const WORDS: readonly string[] = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  'half \udfff pair',
  '💥',
  '\u202eevil',
  'e\u0301',
  '\ufeff',
  'İıſK',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'null',
  'undefined',
  'NaN',
  "' or 1=1 --",
  '"; drop table model; --',
  '%_\\*?"^-()',
  'NEAR(a b)',
  'a AND OR NOT',
  '../../etc/passwd',
  '<script>alert(1)</script>',
  '$' + '{x}',
  '{{x}}',
  'a'.repeat(1_000),
  '2026-11-23T18:15:48.000Z',
  '2026-13-99T99:99:99Z',
  '+275760-09-13T00:00:00.001Z',
  '0',
  '-1',
  '1e999',
  'spam-filter',
  'spam-filter:2',
  'spam-filter:99999999999999999999',
  'spam-filter@champion',
  'spam-filter:1@champion',
  'fashion-mlp',
  'breast-cancer-forest',
  'accuracy',
  'fashion-mnist-test',
];

const NUMBERS: readonly number[] = [
  0,
  1,
  -1,
  0.5,
  7,
  100,
  101,
  1_000,
  65_536,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 53,
  2 ** 63,
  1e21,
  1e300,
  5e-324,
];

export function oddNumber(random: Random): number {
  return random() < 0.8 ? pick(random, NUMBERS) : (random() - 0.5) * 10 ** below(random, 40);
}

export function oddWord(random: Random): string {
  if (random() < 0.8) return pick(random, WORDS);
  return String.fromCharCode(...list(random, 40, () => below(random, random() < 0.5 ? 128 : 65_536)));
}

/** Any JSON, a few levels deep, without the values of RAW. */
export function oddJson(random: Random, depth = 3): unknown {
  const kind = below(random, depth > 0 ? 10 : 6);
  if (kind === 0) return null;
  if (kind === 1) return random() < 0.5;
  if (kind === 2) return oddNumber(random);
  if (kind === 3) return raw(pick(random, Object.keys(RAW)));
  if (kind < 6) return oddWord(random);
  if (kind < 8) return list(random, 5, () => oddJson(random, depth - 1));
  // `fromEntries` makes an own property even of `__proto__`.
  return Object.fromEntries(list(random, 5, () => [oddWord(random), oddJson(random, depth - 1)]));
}

/** Makes one change somewhere inside: replaces a value, or removes, adds or renames a key. */
export function mutateJson(random: Random, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || random() < 0.15) return oddJson(random);
  if (Array.isArray(value)) {
    const at = below(random, value.length + 1);
    if (at === value.length || random() < 0.1) return [...value, oddJson(random)];
    return random() < 0.2 ? value.toSpliced(at, 1) : value.with(at, mutateJson(random, value[at]));
  }
  const entries = Object.entries(value);
  const at = below(random, entries.length + 1);
  const [key, old] = entries[at] ?? [oddWord(random), null];
  const change = random();
  if (at === entries.length) entries.push([key, oddJson(random)]);
  else if (change < 0.15) entries.splice(at, 1);
  else if (change < 0.25) entries[at] = [oddWord(random), old];
  else entries[at] = [key, mutateJson(random, old)];
  return Object.fromEntries(entries);
}

const MARK = '@raw@';

export function raw(name: string): string {
  return `${MARK}${name}${MARK}`;
}

export function toJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(/"@raw@(\w+)@raw@"/g, (_, name: string) => RAW[name] ?? 'null');
}
