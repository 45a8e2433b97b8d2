/**
 * NFC, NFD, NFKC and NFKD of an aligned text, as Unicode 9 has them.
 *
 * The engine's own `normalize` tells no places and takes quadratic time on long runs of marks, so it is asked about
 * one character or one pair at a time, and each answer is remembered.
 */
import { type AlignedText, Rewriter } from './aligned-text.js';
import { isNewerThanForms } from './unicode.js';

export type NormalForm = 'NFC' | 'NFD' | 'NFKC' | 'NFKD';

interface Step {
  readonly char: string;
  /** As in `Rewriter.change`. */
  readonly by: number;
}

/** Beyond this many marks in a row the engine is not asked whether the whole text is normal already. */
const LONG_RUN_OF_MARKS = /\p{M}{32}/u;

export function normalise(source: AlignedText, form: NormalForm): AlignedText {
  const { text } = source;
  if (!/[\x80-\uffff]/.test(text)) return source;
  if (!LONG_RUN_OF_MARKS.test(text) && text.normalize(form) === text) return source;
  const decomposed = inCanonicalOrder(decompose(text, form.includes('K') ? 'NFKD' : 'NFD'));
  const rewriter = new Rewriter(source);
  for (const { char, by } of form.endsWith('C') ? recompose(decomposed) : decomposed) rewriter.change(char, by);
  return rewriter.end();
}

function decompose(text: string, form: 'NFD' | 'NFKD'): Step[] {
  const steps: Step[] = [];
  for (const char of text) {
    let first = true;
    for (const part of decompositionOf(char, form)) {
      steps.push({ char: part, by: first ? 0 : 1 });
      first = false;
    }
  }
  return steps;
}

const decompositions = { NFD: new Map<string, string>(), NFKD: new Map<string, string>() };

function decompositionOf(char: string, form: 'NFD' | 'NFKD'): string {
  if (char <= '\x7f') return char;
  const known = decompositions[form].get(char);
  if (known !== undefined) return known;
  const found = isNewerThanForms(char) ? char : char.normalize(form);
  return remember(decompositions[form], char, found);
}

/** Sorts every run of marks by combining class; marks of one class keep their order. */
function inCanonicalOrder(steps: Step[]): Step[] {
  let start = 0;
  for (let i = 0; i <= steps.length; i++) {
    if (i < steps.length && classOf((steps[i] as Step).char) > 0) continue;
    if (i - start > 1) sortRange(steps, start, i);
    start = i + 1;
  }
  return steps;
}

function sortRange(steps: Step[], from: number, to: number): void {
  const sorted = steps.slice(from, to).sort((a, b) => classOf(a.char) - classOf(b.char));
  for (let i = from; i < to; i++) steps[i] = sorted[i - from] as Step;
}

/** One mark of each combining class above 0, in the order of the classes. */
const LADDER = [
  ...'\u0334\u{16ff0}\u093c\u3099\u094d\u05b0\u05b1\u05b2\u05b3\u05b4\u05b5\u05b6\u05b7\u05b8\u05b9\u05bb\u05bc\u05bd\u05bf\u05c1\u05c2\ufb1e\u064b\u064c\u064d\u0618\u0619\u061a\u0651\u0652\u0670\u0711\u0c55\u0c56\u0e38\u0e48\u0eb8\u0ec8\u0f71\u0f72\u0f74\u0321\u1dce\u031b\u1dfa\u0316\u059a\u302e\u{1d16d}\u05ae\u0301\u0315\u035c\u035d\u0345',
];

const classes = new Map<string, number>();

/** Rank of a character's combining class: 0 for characters that start something of their own. */
function classOf(char: string): number {
  if (char < '\u0300') return 0;
  const known = classes.get(char);
  if (known !== undefined) return known;
  return remember(classes, char, findClass(char));
}

function findClass(char: string): number {
  if (!/\p{M}/u.test(char) || isNewerThanForms(char)) return 0;
  const moves = (pair: string) => pair.normalize('NFD') !== pair;
  if (char === '\u0345') return LADDER.length;
  if (!moves(`\u0345${char}`)) return 0;
  let below = 0;
  while (below < LADDER.length && moves(char + (LADDER[below] as string))) below++;
  return below + 1;
}

/** The algorithm of the reference: a mark joins the last starter unless one of the same or a higher class is between. */
function recompose(steps: readonly Step[]): Step[] {
  const out: Step[] = [];
  let starter = -1;
  let lastClass = 0;
  for (const step of steps) {
    const ownClass = classOf(step.char);
    const before = out[starter];
    const free = starter >= 0 && (lastClass === 0 ? starter === out.length - 1 : lastClass < ownClass);
    const joined = before && free ? compositionOf(before.char, step.char) : null;
    if (before && joined !== null) {
      out[starter] = { char: joined, by: before.by + step.by - 1 };
      continue;
    }
    out.push(step);
    if (ownClass === 0) starter = out.length - 1;
    lastClass = ownClass;
  }
  return out;
}

const compositions = new Map<string, string | null>();

function compositionOf(first: string, second: string): string | null {
  if (second <= '\x7f') return null;
  const pair = first + second;
  const known = compositions.get(pair);
  if (known !== undefined) return known;
  const joined = pair.normalize('NFC');
  const single = joined.length === ((joined.codePointAt(0) as number) > 0xffff ? 2 : 1);
  return remember(compositions, pair, single && !isNewerThanForms(joined) ? joined : null);
}

/** Bounded: whoever sends texts decides what is remembered. */
function remember<T>(memory: Map<string, T>, key: string, value: T): T {
  if (memory.size >= 20_000) memory.clear();
  memory.set(key, value);
  return value;
}
