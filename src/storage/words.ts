/** The words of a text as the search sees them: pure functions, without SQL. */

const WORD = /[\p{L}\p{N}][\p{L}\p{N}\p{M}]*/gu;

/** The words of a text, in lower case. */
export function wordsOf(text: string): string[] {
  return (text.toWellFormed().match(WORD) ?? []).map((word) => word.toLowerCase());
}

/** The first distinct words of a text, in lower case, at most `max`. The rest of the text is not read. */
export function firstWordsOf(text: string, max: number): string[] {
  const words = new Set<string>();
  for (const [word] of text.toWellFormed().matchAll(WORD)) {
    words.add(word.toLowerCase());
    if (words.size === max) break;
  }
  return [...words];
}

/** The text that a reader of this Markdown sees: without targets of links, HTML tags and entities. */
export function textOfMarkdown(markdown: string): string {
  return markdown
    .replaceAll(/<!--.*?-->/gs, ' ')
    .replaceAll(/<\/?[a-z][^<>]*>/gi, ' ')
    .replaceAll(/\]\([^()\s]*(?:\s+"([^"]*)")?\)/g, '] $1 ')
    .replaceAll(/^\s*\[[^\]]+\]:\s+\S+/gm, ' ')
    .replaceAll(/&#?\w+;/g, ' ');
}

const CONSONANTS = '[^aeiou][^aeiouy]*';
const VOWELS = '[aeiouy][aeiou]*';
const START = `^(?:${CONSONANTS})?${VOWELS}${CONSONANTS}`;
/** Porter's measure: how many sequences of vowels and consonants the stem has. */
const HAS_ONE = new RegExp(START);
const HAS_TWO = new RegExp(`${START}${VOWELS}${CONSONANTS}`);
const HAS_EXACTLY_ONE = new RegExp(`${START}(?:${VOWELS})?$`);
const HAS_VOWEL = new RegExp(`^(?:${CONSONANTS})?[aeiouy]`);
const IS_SHORT = new RegExp(`^${CONSONANTS}[aeiouy][^aeiouwxy]$`);

/** Endings and what replaces them, where the stem has a measure of at least one. */
const DERIVED: readonly (readonly [string, string])[] = [
  ['ational', 'ate'],
  ['ization', 'ize'],
  ['iveness', 'ive'],
  ['fulness', 'ful'],
  ['ousness', 'ous'],
  ['tional', 'tion'],
  ['biliti', 'ble'],
  ['entli', 'ent'],
  ['ousli', 'ous'],
  ['ation', 'ate'],
  ['alism', 'al'],
  ['aliti', 'al'],
  ['iviti', 'ive'],
  ['enci', 'ence'],
  ['anci', 'ance'],
  ['izer', 'ize'],
  ['alli', 'al'],
  ['ator', 'ate'],
  ['logi', 'log'],
  ['bli', 'ble'],
  ['eli', 'e'],
];
const SUFFIXED: readonly (readonly [string, string])[] = [
  ['icate', 'ic'],
  ['ative', ''],
  ['alize', 'al'],
  ['iciti', 'ic'],
  ['ical', 'ic'],
  ['ness', ''],
  ['ful', ''],
];
const ENDINGS = /(?:al|ance|ence|er|ic|able|ible|ant|ement|ment|ent|(?<=[st])ion|ou|ism|ate|iti|ous|ive|ize)$/;

/** Porter's stem of an English word in lower case: the same for "train", "trained" and "training". */
export function stem(word: string): string {
  if (!/^[a-z]{3,40}$/.test(word)) return word;
  let w = withoutPlural(word.replace(/^y/, 'Y'));
  w = withoutTense(w);
  if (/y$/.test(w) && HAS_VOWEL.test(w.slice(0, -1))) w = `${w.slice(0, -1)}i`;
  w = replaceEnding(w, DERIVED);
  w = replaceEnding(w, SUFFIXED);
  const root = w.replace(ENDINGS, '');
  if (HAS_TWO.test(root)) w = root;
  return withoutFinal(w).toLowerCase();
}

function withoutPlural(w: string): string {
  if (/(?:ss|i)es$/.test(w)) return w.slice(0, -2);
  return /[^s]s$/.test(w) ? w.slice(0, -1) : w;
}

function withoutTense(w: string): string {
  if (w.endsWith('eed')) return HAS_ONE.test(w.slice(0, -3)) ? w.slice(0, -1) : w;
  const root = w.replace(/(?:ed|ing)$/, '');
  if (root === w || !HAS_VOWEL.test(root)) return w;
  if (/(?:at|bl|iz)$/.test(root)) return `${root}e`;
  if (/([^aeiouylsz])\1$/.test(root)) return root.slice(0, -1);
  return IS_SHORT.test(root) ? `${root}e` : root;
}

function replaceEnding(w: string, endings: readonly (readonly [string, string])[]): string {
  const found = endings.find(([ending]) => w.endsWith(ending));
  if (!found) return w;
  const root = w.slice(0, -found[0].length);
  return HAS_ONE.test(root) ? root + found[1] : w;
}

function withoutFinal(w: string): string {
  const root = w.slice(0, -1);
  const drops = HAS_TWO.test(root) || (HAS_EXACTLY_ONE.test(root) && !IS_SHORT.test(root));
  const short = w.endsWith('e') && drops ? root : w;
  return short.endsWith('ll') && HAS_TWO.test(short) ? short.slice(0, -1) : short;
}
