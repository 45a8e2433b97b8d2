/**
 * The pre-tokenizers of a tokenizer.json: from a normalised text to the words a model is asked about.
 */
import type { AlignedText } from './aligned-text.js';
import { toByteCharacters } from './byte-level.js';
import { prepend } from './normalizers.js';
import { type CompilePattern, flagAt, idAt, type Json, listAt, objectAt, textAt, unsupported } from './spec.js';
import { asKnownToExpressions, isNumeric, isPunctuation, isWhitespace } from './unicode.js';

/** A piece of an aligned text, never empty. */
export interface Piece {
  readonly text: AlignedText;
  readonly from: number;
  readonly to: number;
}

export type PreTokenizer = (pieces: readonly Piece[]) => readonly Piece[];

/** Places in a text, whole and in order: each is a match of a pattern or what lies between two. */
interface Span {
  from: number;
  to: number;
  readonly isMatch: boolean;
}

type FindSpans = (text: string) => Span[];

/** @throws UnsupportedTokenizer that names the component */
export function createPreTokenizer(spec: unknown, compile: CompilePattern, key = 'pre_tokenizer'): PreTokenizer {
  if (spec === null || spec === undefined) return (pieces) => pieces;
  const config = objectAt(spec, key);
  switch (config.type) {
    case 'Sequence': {
      const all = listAt(config.pretokenizers, `${key}.pretokenizers`).map((one, i) =>
        createPreTokenizer(one, compile, `${key}.pretokenizers[${i}]`),
      );
      return (pieces) => all.reduce((split, one) => one(split), pieces);
    }
    case 'BertPreTokenizer':
      return splitForBert;
    case 'Whitespace':
      return splitting(
        spansOfExpression(
          /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d\p{White_Space}]+/gu,
          true,
        ),
        'Removed',
      );
    case 'WhitespaceSplit':
      return splitting(spansOfCharacters(isWhitespace), 'Removed');
    case 'Punctuation':
      return splitting(spansOfCharacters(isPunctuation), behaviourAt(config.behavior ?? 'Isolated', key));
    case 'Digits': {
      const alone = flagAt(config.individual_digits, `${key}.individual_digits`, false);
      return splitting(spansOfCharacters(isNumeric), alone ? 'Isolated' : 'Contiguous');
    }
    case 'Split':
      return splitOn(config, compile, key);
    case 'FixedLength':
      return splitting(spansOfLength(idAt(config.length ?? 5, `${key}.length`)), 'Isolated');
    case 'Metaspace':
      return metaspace(config, key);
    case 'ByteLevel':
      return byteLevel(config, key);
    default:
      throw unsupported(key, `the pre-tokenizer ${String(config.type)}`);
  }
}

function splitting(find: FindSpans, behaviour: Behaviour): PreTokenizer {
  const arrange = ARRANGE[behaviour];
  return (pieces) =>
    pieces.flatMap(({ text, from, to }) =>
      arrange(find(text.text.slice(from, to)))
        .filter((span) => span.to > span.from)
        .map((span) => ({ text, from: from + span.from, to: from + span.to })),
    );
}

type Behaviour = 'Removed' | 'Isolated' | 'Contiguous' | 'MergedWithPrevious' | 'MergedWithNext';

const ARRANGE: Readonly<Record<Behaviour, (spans: Span[]) => Span[]>> = {
  Removed: (spans) => spans.filter(({ isMatch }) => !isMatch),
  Isolated: (spans) => spans,
  Contiguous: (spans) => merge(spans, (span, previous) => span.isMatch === previous),
  MergedWithPrevious: (spans) => merge(spans, (span, previous) => span.isMatch && !previous),
  MergedWithNext: (spans) => mergeWithNext(spans),
};

function behaviourAt(value: unknown, key: string): Behaviour {
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

function spansOfCharacters(isMatch: (char: string) => boolean): FindSpans {
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

function spansOfExpression(pattern: RegExp, invert: boolean): FindSpans {
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

function spansOfLength(length: number): FindSpans {
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

function splitOn(config: Json, compile: CompilePattern, key: string): PreTokenizer {
  const pattern = compile(objectAt(config.pattern, `${key}.pattern`), `${key}.pattern`);
  const find = spansOfExpression(pattern, flagAt(config.invert, `${key}.invert`, false));
  return splitting(find, behaviourAt(config.behavior, key));
}

/** White space is left out, and each punctuation mark stands alone. */
const splitForBert: PreTokenizer = (pieces) => {
  const words: Piece[] = [];
  for (const { text, from, to } of pieces) {
    let open = from;
    const close = (end: number) => {
      if (open < end) words.push({ text, from: open, to: end });
    };
    for (let at = from; at < to; ) {
      const end = at + ((text.text.codePointAt(at) as number) > 0xffff ? 2 : 1);
      const kind = kindOf(text.text, at, end);
      if (kind !== 'letter') {
        close(at);
        if (kind === 'punctuation') words.push({ text, from: at, to: end });
        open = end;
      }
      at = end;
    }
    close(to);
  }
  return words;
};

type Kind = 'letter' | 'space' | 'punctuation';

const ASCII_KINDS: readonly Kind[] = Array.from({ length: 128 }, (_, code) => slowKindOf(String.fromCharCode(code)));

function kindOf(text: string, from: number, to: number): Kind {
  const code = text.charCodeAt(from);
  return code < 128 ? (ASCII_KINDS[code] as Kind) : slowKindOf(text.slice(from, to));
}

function slowKindOf(char: string): Kind {
  if (isWhitespace(char)) return 'space';
  return isPunctuation(char) ? 'punctuation' : 'letter';
}

const SCHEMES = ['first', 'never', 'always'];

/** Spaces become a visible character, and each one starts a word. */
function metaspace(config: Json, key: string): PreTokenizer {
  const replacement = textAt(config.replacement, `${key}.replacement`);
  if (replacement.length !== 1) throw unsupported(`${key}.replacement`, JSON.stringify(replacement));
  const scheme = schemeOf(config, key);
  const addReplacement = prepend(replacement);
  const isReplacement = (char: string) => char === replacement;
  const split = flagAt(config.split, `${key}.split`, true)
    ? splitting(spansOfCharacters(isReplacement), 'MergedWithNext')
    : (pieces: readonly Piece[]) => pieces;
  return (pieces) =>
    pieces.flatMap((piece) => {
      const own = piece.text.slice(piece.from, piece.to);
      let text = own.withText(own.text.replaceAll(' ', replacement));
      const wanted = scheme === 'always' || (scheme === 'first' && own.startOf(0) === 0);
      if (wanted && !text.text.startsWith(replacement)) text = addReplacement(text);
      return split([wholeOf(text)]);
    });
}

function schemeOf(config: Json, key: string): string {
  const scheme = textAt(config.prepend_scheme ?? 'always', `${key}.prepend_scheme`);
  if (!SCHEMES.includes(scheme)) throw unsupported(`${key}.prepend_scheme`, scheme);
  if (flagAt(config.add_prefix_space, `${key}.add_prefix_space`, true)) return scheme;
  if (scheme === 'never' || config.prepend_scheme === undefined) return 'never';
  throw unsupported(key, 'add_prefix_space false beside another prepend_scheme');
}

const GPT2 =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

function byteLevel(config: Json, key: string): PreTokenizer {
  const addSpace = flagAt(config.add_prefix_space, `${key}.add_prefix_space`, true);
  const split = flagAt(config.use_regex, `${key}.use_regex`, true)
    ? splitting(spansOfExpression(GPT2, false), 'Isolated')
    : (pieces: readonly Piece[]) => pieces;
  return (pieces) =>
    inBytes(
      split(
        pieces.map((piece) => {
          const own = piece.text.slice(piece.from, piece.to);
          return wholeOf(addSpace && !own.text.startsWith(' ') ? prependSpace(own) : own);
        }),
      ),
    );
}

const prependSpace = prepend(' ');

/** Pieces of one text are changed together: one new text instead of one a word. */
function inBytes(pieces: readonly Piece[]): Piece[] {
  const done: Piece[] = [];
  for (let i = 0; i < pieces.length; ) {
    const { text } = pieces[i] as Piece;
    const bytes = toByteCharacters(text);
    const lengths = bytes.text.length === text.text.length ? null : byteLengths(text.text);
    for (; i < pieces.length && (pieces[i] as Piece).text === text; i++) {
      const { from, to } = pieces[i] as Piece;
      done.push({
        text: bytes,
        from: lengths ? (lengths[from] as number) : from,
        to: lengths ? (lengths[to] as number) : to,
      });
    }
  }
  return done;
}

/** How many bytes lie before each unit of a text. */
function byteLengths(text: string): Int32Array {
  const before = new Int32Array(text.length + 1);
  let bytes = 0;
  let at = 0;
  for (const char of text) {
    before[at] = bytes;
    const code = char.codePointAt(0) as number;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    at += char.length;
  }
  before[at] = bytes;
  return before;
}

export function wholeOf(text: AlignedText): Piece {
  return { text, from: 0, to: text.text.length };
}
