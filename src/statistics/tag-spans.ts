/**
 * Entities in tags of tokens, such as B-PER I-PER O, as seqeval's default mode reads them, which is that of conlleval: an entity
 * also begins with an I tag after O or after another type. seqeval's strict mode would drop it. Tags with E and S are read, too.
 */

export interface Span {
  readonly label: string;
  /** First token or character. */
  readonly start: number;
  /** The token or character after the last one. */
  readonly end: number;
}

const ENDS_BEFORE = new Set(['BB', 'BS', 'BO', 'IB', 'IS', 'IO']);
const BEGINS_AFTER = new Set(['EE', 'EI', 'SE', 'SI', 'OE', 'OI']);

/** Entities in the order of the tokens; `start` and `end` are indices of tokens. */
export function spansOfTags(tags: readonly string[]): Span[] {
  const spans: Span[] = [];
  let before = { tag: 'O', type: '' };
  let start = 0;
  for (const [i, text] of [...tags, 'O'].entries()) {
    const now = { tag: text.slice(0, 1), type: typeOf(text) };
    const differs = before.type !== now.type;
    if ('ES'.includes(before.tag) || ENDS_BEFORE.has(before.tag + now.tag) || (before.tag !== 'O' && differs))
      spans.push({ label: before.type, start, end: i });
    if ('BS'.includes(now.tag) || BEGINS_AFTER.has(before.tag + now.tag) || (now.tag !== 'O' && differs)) start = i;
    before = now;
  }
  return spans;
}

/** "PER" of "B-PER"; "_" of "B". */
function typeOf(tag: string): string {
  const rest = tag.slice(1);
  const dash = rest.indexOf('-');
  return (dash === -1 ? rest : rest.slice(dash + 1)) || '_';
}
