/**
 * Kinds of characters as the reference tokenizers know them.
 *
 * Models were trained with the Rust library, whose tables are of several Unicode versions, most of them older than the
 * engine's. A character that is newer than a table is unassigned there: no mark, no punctuation, no letter.
 */

/** Marks, punctuation and format characters that the table of categories does not know. */
const NEWER_THAN_CATEGORIES =
  /[\u061d\u07fd\u0890-\u08e2\u09fd-\u09fe\u0a76\u0afa-\u0aff\u0b55\u0c04-\u0c3c\u0c77\u0c84\u0d00\u0d3b-\u0d3c\u0d81\u0eba\u0ece\u180f-\u1886\u1abf-\u1aeb\u1b4e-\u1b4f\u1b7d-\u1b7f\u1df6-\u1dfb\u2e43-\u2e5d\ua82c\ua8c5\ua8ff\ua9bd\u{10d24}-\u{10f89}\u{11070}-\u{11074}\u{110c2}-\u{110cd}\u{111c9}\u{111cf}\u{1123e}-\u{11241}\u{1133b}\u{113bb}-\u{1145e}\u{11660}-\u{1166c}\u{116b9}\u{1182f}-\u{11fff}\u{12ff1}-\u{1612f}\u{16d6d}-\u{16f4f}\u{16fe2}-\u{16fe4}\u{1cf00}-\u{1cf46}\u{1e000}-\u{1e6f5}\u{1e944}-\u{1e95f}]/u;

/** Marks and decompositions that the table of normal forms (Unicode 9) does not know. */
const NEWER_THAN_FORMS =
  /[\u07fd\u0897-\u08d3\u09fe\u0afa-\u0aff\u0b55\u0c04-\u0c3c\u0cf3-\u0d00\u0d3b-\u0d3c\u0d81\u0eba\u0ece\u1715\u180f\u1abf-\u1aeb\u1cf7\u1df6-\u1dfa\u32ff\ua7f1-\ua7f4\ua82c\ua8ff\uab69\u{105c9}-\u{107ba}\u{10d24}-\u{10f85}\u{11070}-\u{11074}\u{110c2}\u{11145}-\u{11146}\u{111c9}\u{111ce}-\u{111cf}\u{11241}\u{1133b}\u{11383}-\u{113e2}\u{1145e}\u{1182c}-\u{11b67}\u{11d31}-\u{1612f}\u{16d68}-\u{16f4f}\u{16f7f}-\u{16f87}\u{16fe4}-\u{16ff1}\u{1ccd6}-\u{1cf46}\u{1e030}-\u{1e6f5}\u{1f16c}\u{1fbf0}-\u{1fbf9}]/u;

/** What Unicode 17 added; the regular expressions of the reference know Unicode 16. */
const NEWER_THAN_EXPRESSIONS =
  /[\u088f\u0c5c\u0cdc\u1acf-\u1aeb\u20c1\u2b96\ua7ce-\ua7cf\ua7d2\ua7d4\ua7f1\ufbc3-\ufbd2\ufd90-\ufd91\ufdc8-\ufdce\u{10940}-\u{10959}\u{10ec5}-\u{10efb}\u{11b60}-\u{11b67}\u{11db0}-\u{11de9}\u{16ea0}-\u{16ed3}\u{16ff2}-\u{16ff6}\u{187f8}-\u{187ff}\u{18d09}-\u{18df2}\u{1ccfa}-\u{1ccfc}\u{1ceba}-\u{1cef0}\u{1e6c0}-\u{1e6ff}\u{1f6d8}\u{1f777}-\u{1f77a}\u{1f8d0}-\u{1f8d8}\u{1fa54}-\u{1fa57}\u{1fa8a}-\u{1fa8e}\u{1fac8}-\u{1facd}\u{1faea}-\u{1faef}\u{1fbfa}\u{2b73a}-\u{2b73f}\u{2cea2}-\u{2cead}\u{323b0}-\u{33479}]/gu;

const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]/u;

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
