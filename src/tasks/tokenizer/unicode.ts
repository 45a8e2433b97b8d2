/**
 * Kinds of characters as the reference tokenizers know them.
 *
 * Models were trained with the Rust library, whose tables are of several Unicode versions, most of them older than the
 * engine's. A character that is newer than a table is unassigned there: no mark, no punctuation, no letter.
 */

/** Marks, punctuation and format characters that the table of categories does not know. */
const NEWER_THAN_CATEGORIES = characters(
  '61d 7fd 890-8e2 9fd-9fe a76 afa-aff b55 c04-c3c c77 c84 d00 d3b-d3c d81 eba ece 180f-1886 1abf-1aeb 1b4e-1b4f 1b7d-1b7f 1df6-1dfb 2e43-2e5d a82c a8c5 a8ff a9bd 10d24-10f89 11070-11074 110c2-110cd 111c9 111cf 1123e-11241 1133b 113bb-1145e 11660-1166c 116b9 1182f-11fff 12ff1-1612f 16d6d-16f4f 16fe2-16fe4 1cf00-1cf46 1e000-1e6f5 1e944-1e95f',
);

/** Marks and decompositions that the table of normal forms (Unicode 9) does not know. */
const NEWER_THAN_FORMS = characters(
  '7fd 897-8d3 9fe afa-aff b55 c04-c3c cf3-d00 d3b-d3c d81 eba ece 1715 180f 1abf-1aeb 1cf7 1df6-1dfa 32ff a7f1-a7f4 a82c a8ff ab69 105c9-107ba 10d24-10f85 11070-11074 110c2 11145-11146 111c9 111ce-111cf 11241 1133b 11383-113e2 1145e 1182c-11b67 11d31-1612f 16d68-16f4f 16f7f-16f87 16fe4-16ff1 1ccd6-1cf46 1e030-1e6f5 1f16c 1fbf0-1fbf9',
);

/** What Unicode 17 added; the regular expressions of the reference know Unicode 16. */
const NEWER_THAN_EXPRESSIONS = characters(
  '88f c5c cdc 1acf-1aeb 20c1 2b96 a7ce-a7cf a7d2 a7d4 a7f1 fbc3-fbd2 fd90-fd91 fdc8-fdce 10940-10959 10ec5-10efb 11b60-11b67 11db0-11de9 16ea0-16ed3 16ff2-16ff6 187f8-187ff 18d09-18df2 1ccfa-1ccfc 1ceba-1cef0 1e6c0-1e6ff 1f6d8 1f777-1f77a 1f8d0-1f8d8 1fa54-1fa57 1fa8a-1fa8e 1fac8-1facd 1faea-1faef 1fbfa 2b73a-2b73f 2cea2-2cead 323b0-33479',
  'gu',
);

/** An expression for code points and ranges of them, in hexadecimal. */
export function characters(table: string, flags = 'u'): RegExp {
  const escaped = table.split(' ').map((range) => range.replaceAll(/[0-9a-f]+/g, '\\u{$&}'));
  return new RegExp(`[${escaped.join('')}]`, flags);
}

/** `\w` as the inside of a character class. */
const WORD_CLASS = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200c\\u200d';
const WORD = new RegExp(`[${WORD_CLASS}]`, 'u');

/** `\w+|[^\w\s]+` */
export const WORDS_AND_SIGNS = new RegExp(`[${WORD_CLASS}]+|[^${WORD_CLASS}\\p{White_Space}]+`, 'gu');

export const isNewerThanForms = (char: string) => NEWER_THAN_FORMS.test(char);

/** Mn, as `BertNormalizer` strips it. */
export function isNonspacingMark(char: string): boolean {
  return /[\u1734\u{1171e}]/u.test(char) || (/\p{Mn}/u.test(char) && !NEWER_THAN_CATEGORIES.test(char));
}

/** M, as `StripAccents` strips it. */
export function isMark(char: string): boolean {
  return /[\u1cf2\u1cf3]/.test(char) || (/\p{M}/u.test(char) && !NEWER_THAN_FORMS.test(char));
}

/** P and everything of ASCII that is neither letter, digit nor space. */
export function isPunctuation(char: string): boolean {
  if (char <= '\x7f') return /[!-/:-@[-`{-~]/.test(char);
  return /[\u166d\u{111c9}]/u.test(char) || (/\p{P}/u.test(char) && !NEWER_THAN_CATEGORIES.test(char));
}

/** What `BertNormalizer` throws away: Cc, Cf, Co, NUL and the replacement character. */
export function isRemovedControl(char: string): boolean {
  if (char === '\t' || char === '\n' || char === '\r') return false;
  return char === '\ufffd' || (/[\p{Cc}\p{Cf}\p{Co}]/u.test(char) && !NEWER_THAN_CATEGORIES.test(char));
}

export const isWhitespace = (char: string) => /\p{White_Space}/u.test(char);

export const isNumeric = (char: string) => /\p{N}/u.test(char);

/** `\w` of the reference's regular expressions, or false at the ends of a text. */
export const isWordCharacter = (char: string | undefined) =>
  char !== undefined && WORD.test(asKnownToExpressions(char));

/** The same text with unassigned characters of the same length in place of those that Unicode 16 does not know. */
export function asKnownToExpressions(text: string): string {
  // Nothing new is below U+088F, and most texts end there.
  if (!/[\u088f-\uffff]/.test(text)) return text;
  return text.replace(NEWER_THAN_EXPRESSIONS, (char) => (char.length === 1 ? '\u0378' : '\u{1fffd}'));
}

/** The character that ends before `end`, or undefined at the start. */
export function charBefore(text: string, end: number): string | undefined {
  if (end <= 0) return undefined;
  const low = text.charCodeAt(end - 1);
  const start = low >= 0xdc00 && low <= 0xdfff && end > 1 ? end - 2 : end - 1;
  return text.slice(start, end);
}

/** The character that starts at `start`, or undefined at the end. */
export function charAt(text: string, start: number): string | undefined {
  const code = text.codePointAt(start);
  return code === undefined ? undefined : String.fromCodePoint(code);
}
