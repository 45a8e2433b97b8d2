/**
 * Cutting a text at the matches of a pattern, and what becomes of the matches.
 */
import { textAt, unsupported } from './spec.js';
import { asKnownToExpressions } from './unicode.js';

/** Places in a text, whole and in order: each is a match of a pattern or what lies between two. */
export interface Span {
  from: number;
  to: number;
  readonly isMatch: boolean;
}

export type FindSpans = (text: string) => Span[];

export type Behaviour = 'Removed' | 'Isolated' | 'Contiguous' | 'MergedWithPrevious' | 'MergedWithNext';

export const ARRANGE: Readonly<Record<Behaviour, (spans: Span[]) => Span[]>> = {
  Removed: (spans) => spans.filter(({ isMatch }) => !isMatch),
  Isolated: (spans) => spans,
  Contiguous: (spans) => merge(spans, (span, previous) => span.isMatch === previous),
  MergedWithPrevious: (spans) => merge(spans, (span, previous) => span.isMatch && !previous),
  MergedWithNext: (spans) => mergeWithNext(spans),
};

export function behaviourAt(value: unknown, key: string): Behaviour {
  const name = textAt(value, `${key}.behavior`);
  if (!Object.hasOwn(ARRANGE, name)) throw unsupported(`${key}.behavior`, name);
  return name as Behaviour;
}

/** Before the first span there is something that is no match. */
function merge(spans: readonly Span[], joins: (span: Span, previous: boolean) => boolean): Span[] {
  const merged: Span[] = [];
  let previous = false;
  for (const span of spans) {
    const last = merged.at(-1);
    if (last && joins(span, previous)) last.to = span.to;
    else merged.push({ ...span });
    previous = span.isMatch;
  }
  return merged;
}

function mergeWithNext(spans: readonly Span[]): Span[] {
  const merged: Span[] = [];
  let next = false;
  for (const span of spans.toReversed()) {
    const last = merged.at(-1);
    if (last && span.isMatch && !next) last.from = span.from;
    else merged.push({ ...span });
    next = span.isMatch;
  }
  return merged.reverse();
}

export function spansOfCharacters(isMatch: (char: string) => boolean): FindSpans {
  return (text) => {
    const spans: Span[] = [];
    let open = 0;
    for (let at = 0; at < text.length; ) {
      const char = String.fromCodePoint(text.codePointAt(at) as number);
      const end = at + char.length;
      if (isMatch(char)) {
        if (open < at) spans.push({ from: open, to: at, isMatch: false });
        spans.push({ from: at, to: end, isMatch: true });
        open = end;
      }
      at = end;
    }
    if (open < text.length) spans.push({ from: open, to: text.length, isMatch: false });
    return spans;
  };
}

export function spansOfExpression(pattern: RegExp, invert: boolean): FindSpans {
  return (text) => {
    const spans: Span[] = [];
    let open = 0;
    for (const match of asKnownToExpressions(text).matchAll(pattern)) {
      const end = match.index + match[0].length;
      if (open < match.index) spans.push({ from: open, to: match.index, isMatch: invert });
      spans.push({ from: match.index, to: end, isMatch: !invert });
      open = end;
    }
    if (open < text.length) spans.push({ from: open, to: text.length, isMatch: invert });
    return spans;
  };
}

export function spansOfLength(length: number): FindSpans {
  return (text) => {
    const spans: Span[] = [];
    let from = 0;
    let at = 0;
    let count = 0;
    for (const char of text) {
      at += char.length;
      if (++count % length === 0 || at === text.length) {
        spans.push({ from, to: at, isMatch: false });
        from = at;
      }
    }
    return spans;
  };
}
