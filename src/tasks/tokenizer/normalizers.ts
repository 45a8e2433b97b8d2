/**
 * The normalizers of a tokenizer.json: each changes a text and keeps its places.
 */
import { AlignedText, Rewriter, rewriteMatches } from './aligned-text.js';
import { toByteCharacters } from './byte-level.js';
import { Charsmap } from './charsmap.js';
import { type NormalForm, normalise } from './normal-forms.js';
import { type CompilePattern, flagAt, type Json, listAt, objectAt, textAt, unsupported } from './spec.js';
import {
  asKnownToExpressions,
  characters,
  isMark,
  isNonspacingMark,
  isRemovedControl,
  isWhitespace,
} from './unicode.js';

export type Normalizer = (text: AlignedText) => AlignedText;

/** @throws UnsupportedTokenizer that names the component */
export function createNormalizer(spec: unknown, compile: CompilePattern, key = 'normalizer'): Normalizer {
  if (spec === null || spec === undefined) return (text) => text;
  const config = objectAt(spec, key);
  switch (config.type) {
    case 'Sequence':
      return inSequence(
        listAt(config.normalizers, `${key}.normalizers`).map((one, i) =>
          createNormalizer(one, compile, `${key}.normalizers[${i}]`),
        ),
      );
    case 'BertNormalizer':
      return bertNormalizer(config, key);
    case 'Lowercase':
      return lowercase;
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return (text) => normalise(text, config.type as NormalForm);
    case 'Nmt':
      return (text) => rewriteMatches(text, NMT, (rewriter, char) => cleanForNmt(rewriter, char));
    case 'Strip':
      return strip(config, key);
    case 'StripAccents':
      return (text) => without(text, isMark);
    case 'Prepend':
      return prepend(textAt(config.prepend, `${key}.prepend`));
    case 'Replace':
      return replace(config, compile, key);
    case 'Precompiled':
      return precompiled(config, key);
    case 'ByteLevel':
      return toByteCharacters;
    default:
      throw unsupported(key, `the normalizer ${String(config.type)}`);
  }
}

function inSequence(all: readonly Normalizer[]): Normalizer {
  return (text) => all.reduce((changed, one) => one(changed), text);
}

function bertNormalizer(config: Json, key: string): Normalizer {
  const lower = flagAt(config.lowercase, `${key}.lowercase`, true);
  const steps: Normalizer[] = [];
  if (flagAt(config.clean_text, `${key}.clean_text`, true)) steps.push(cleanText);
  if (flagAt(config.handle_chinese_chars, `${key}.handle_chinese_chars`, true)) steps.push(spaceOutIdeographs);
  if (flagAt(config.strip_accents, `${key}.strip_accents`, lower)) steps.push(stripAccents);
  if (lower) steps.push(lowercase);
  return inSequence(steps);
}

/** Everything but printable ASCII: what may have to be cleaned. */
function cleanText(text: AlignedText): AlignedText {
  return rewriteMatches(text, /[^ -~]/gu, (rewriter, char) => {
    if (isRemovedControl(char)) rewriter.skip(1);
    else if (isWhitespace(char)) rewriter.replace(' ');
  });
}

const IDEOGRAPH = characters('3400-4dbf 4e00-9fff f900-faff 20000-2a6df 2a700-2b81f 2b920-2ceaf 2f800-2fa1f', 'gu');

function spaceOutIdeographs(text: AlignedText): AlignedText {
  return rewriteMatches(text, IDEOGRAPH, (rewriter, char) => {
    rewriter.replace(' ');
    rewriter.insert(`${char} `);
  });
}

function stripAccents(text: AlignedText): AlignedText {
  return without(normalise(text, 'NFD'), isNonspacingMark);
}

function without(text: AlignedText, isUnwanted: (char: string) => boolean): AlignedText {
  return rewriteMatches(text, /[\p{M}\u1cf2\u1cf3]/gu, (rewriter, char) => {
    if (isUnwanted(char)) rewriter.skip(1);
  });
}

/** Character by character, so a sigma at the end of a word is like any other. */
export function lowercase(text: AlignedText): AlignedText {
  // U+0130 is the only character whose lower case is two.
  if (!text.text.includes('\u0130')) return text.withText(text.text.replaceAll('\u03a3', '\u03c3').toLowerCase());
  return rewriteMatches(text, /\p{Changes_When_Lowercased}/gu, (rewriter, char) => {
    const [first, ...rest] = char.toLowerCase();
    rewriter.replace(first as string);
    rewriter.insert(rest.join(''));
  });
}

const NMT = characters('1-1f 7f 8f 9f 1680 200b-200f 2028 2029 2581 feff fffd', 'gu');
const NMT_REMOVES = characters('1-8 b e-1f 7f 8f 9f');

function cleanForNmt(rewriter: Rewriter, char: string): void {
  if (NMT_REMOVES.test(char)) rewriter.skip(1);
  else rewriter.replace(' ');
}

function strip(config: Json, key: string): Normalizer {
  const left = flagAt(config.strip_left, `${key}.strip_left`, true);
  const right = flagAt(config.strip_right, `${key}.strip_right`, true);
  return (text) => {
    let from = 0;
    let to = text.text.length;
    // Every white space is one unit long.
    while (left && from < to && isWhitespace(text.text[from] as string)) from++;
    while (right && to > from && isWhitespace(text.text[to - 1] as string)) to--;
    return text.slice(from, to);
  };
}

/** The new characters stand for the first old one, as it does itself. */
function prepend(content: string): Normalizer {
  return (text) => {
    if (text.text === '') return text;
    const rewriter = new Rewriter(text);
    rewriter.insertBefore(content);
    return rewriter.finish();
  };
}

function replace(config: Json, compile: CompilePattern, key: string): Normalizer {
  const content = textAt(config.content, `${key}.content`);
  const pattern = compile(objectAt(config.pattern, `${key}.pattern`), `${key}.pattern`);
  return (text) => {
    const known = asKnownToExpressions(text.text);
    let rewriter: Rewriter | null = null;
    for (const match of known.matchAll(pattern)) {
      rewriter ??= new Rewriter(text);
      rewriter.keepUntil(match.index);
      rewriter.skipUntil(match.index + match[0].length);
      rewriter.insert(content);
    }
    return rewriter?.finish() ?? text;
  };
}

function precompiled(config: Json, key: string): Normalizer {
  if (config.precompiled_charsmap === null || config.precompiled_charsmap === '') return (text) => text;
  const charsmap = new Charsmap(
    Buffer.from(textAt(config.precompiled_charsmap, `${key}.precompiled_charsmap`), 'base64'),
  );
  return (text) => charsmap.apply(text);
}
