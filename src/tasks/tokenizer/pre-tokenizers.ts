/**
 * The pre-tokenizers of a tokenizer.json: from a normalised text to the words a model is asked about.
 */
import { type AlignedText, Rewriter } from './aligned-text.js';
import { toByteCharacters } from './byte-level.js';
import {
  ARRANGE,
  type Behaviour,
  behaviourAt,
  type FindSpans,
  spansOfCharacters,
  spansOfExpression,
  spansOfLength,
} from './spans.js';
import { type CompilePattern, flagAt, idAt, type Json, listAt, objectAt, textAt, unsupported } from './spec.js';
import { isNumeric, isPunctuation, isWhitespace, WORDS_AND_SIGNS } from './unicode.js';

/** A piece of an aligned text, never empty. */
export interface Piece {
  readonly text: AlignedText;
  readonly from: number;
  readonly to: number;
}

export type PreTokenizer = (pieces: readonly Piece[]) => readonly Piece[];

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
      return splitting(spansOfExpression(WORDS_AND_SIGNS, true), 'Removed');
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
  const isReplacement = (char: string) => char === replacement;
  const split = flagAt(config.split, `${key}.split`, true)
    ? splitting(spansOfCharacters(isReplacement), 'MergedWithNext')
    : (pieces: readonly Piece[]) => pieces;
  const isWanted = ({ text, from }: Piece) =>
    text.text[from] !== replacement && (scheme === 'always' || (scheme === 'first' && text.startOf(from) === 0));
  return (pieces) => split(prefixed(withVisibleSpaces(pieces, replacement), replacement, isWanted));
}

/** Puts a prefix before the pieces that want one. Pieces of one text become pieces of one new text. */
function prefixed(pieces: readonly Piece[], prefix: string, isWanted: (piece: Piece) => boolean): readonly Piece[] {
  if (!pieces.some(isWanted)) return pieces;
  const done: Piece[] = [];
  for (let i = 0; i < pieces.length; ) {
    const { text } = pieces[i] as Piece;
    const rewriter = new Rewriter(text);
    const places: { from: number; to: number }[] = [];
    for (; pieces[i]?.text === text; i++) {
      const piece = pieces[i] as Piece;
      rewriter.keepUntil(piece.from);
      const from = rewriter.length;
      if (isWanted(piece)) rewriter.insertBefore(prefix);
      rewriter.keepUntil(piece.to);
      places.push({ from, to: rewriter.length });
    }
    const whole = rewriter.finish();
    for (const place of places) done.push({ text: whole, ...place });
  }
  return done;
}

function withVisibleSpaces(pieces: readonly Piece[], replacement: string): Piece[] {
  let [old, changed]: (AlignedText | undefined)[] = [];
  return pieces.map(({ text, from, to }) => {
    if (text !== old || !changed) changed = text.withText(text.text.replaceAll(' ', replacement));
    old = text;
    return { text: changed, from, to };
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
  const isWanted = ({ text, from }: Piece) => addSpace && text.text[from] !== ' ';
  return (pieces) => inBytes(split(prefixed(pieces, ' ', isWanted)));
}

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
