/** Damages valid documents: drops, repeats, swaps, replaces or truncates tokens. */
import { below, list, pick, type Random } from '../../support/seeded-random.ts';
import { WORDS } from './values.ts';

const TOKEN = /"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"|\.\.\.|#[^\n]*\n|[\w.+-]+|\S/g;

const NOISE: readonly string[] = [
  ...'{}()[]:$@!|&=,#"\\',
  '...',
  '"""',
  '"\\u{110000}"',
  '"\\uD800"',
  '"unfinished',
  '1e999',
  '00',
  '1.',
  '-',
  '0x10',
  '2147483648',
  '9'.repeat(400),
  'null',
  'true',
  'on',
  'query',
  'mutation',
  'subscription',
  'fragment',
  'extend',
  'schema',
  'type',
  '@include(if: true)',
  '@skip(if: $search)',
  '@defer',
  '@oneOf',
  '$x: [[[Int!]!]!]! = 5',
  '__typename',
  '__schema { types { name } }',
  '__type(name: "Model") { fields { name } }',
  '_service { sdl }',
  'constructor',
  'é',
];

export function tokensOf(document: string): string[] {
  return document.match(TOKEN) ?? [];
}

/** Makes one to four changes; takes pieces from `others`. */
export function mutateTokens(random: Random, document: string, others: readonly string[]): string {
  let tokens = tokensOf(document);
  for (let changes = 1 + below(random, 4); changes > 0; changes--) tokens = mutateOnce(random, tokens, others);
  const text = tokens.join(' ');
  return random() < 0.05 ? text.slice(0, below(random, text.length + 1)) : text;
}

function mutateOnce(random: Random, tokens: readonly string[], others: readonly string[]): string[] {
  const at = below(random, tokens.length + 1);
  const other = below(random, tokens.length + 1);
  const [from, to] = at < other ? [at, other] : [other, at];
  switch (below(random, 9)) {
    case 0:
      return tokens.toSpliced(at, 1);
    case 1:
      return tokens.toSpliced(at, 0, ...tokens.slice(at, at + 1));
    case 2:
      return tokens.map((token, i) => (i === at ? tokens[other] : i === other ? tokens[at] : token) ?? token);
    case 3:
      return tokens.toSpliced(at, 1, noise(random));
    case 4:
      return tokens.toSpliced(at, 0, ...list(random, 3, () => noise(random)));
    case 5:
      return tokens.toSpliced(from, Math.min(to - from, 12));
    case 6:
      return tokens.toSpliced(from, 0, ...tokens.slice(from, from + Math.min(to - from, 30)));
    case 7: {
      const donor = tokensOf(pick(random, others));
      const start = below(random, donor.length);
      return tokens.toSpliced(at, below(random, 4), ...donor.slice(start, start + 1 + below(random, 12)));
    }
    default:
      return mutateNumber(random, tokens);
  }
}

function noise(random: Random): string {
  return random() < 0.8 ? pick(random, NOISE) : pick(random, WORDS);
}

/** Replaces one value by another, which validation cannot notice. */
function mutateNumber(random: Random, tokens: readonly string[]): string[] {
  const places = tokens.flatMap((token, i) => (/^(-?\d|")/.test(token) ? [i] : []));
  if (places.length === 0) return [...tokens];
  const value = random() < 0.5 ? String(below(random, 200) - 20) : JSON.stringify(pick(random, WORDS));
  return tokens.with(pick(random, places), value);
}
