/**
 * Tokens that are cut out of a text before a model sees it, such as `[MASK]`.
 */
import { flagAt, idAt, type Json, listAt, objectAt, textAt, UnsupportedTokenizer } from './spec.js';
import { charAt, charBefore, isWhitespace, isWordCharacter } from './unicode.js';

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly isSpecial: boolean;
  /** Looked for in the normalised text, not in the one that was sent. */
  readonly isNormalised: boolean;
  readonly isSingleWord: boolean;
  readonly stripsLeft: boolean;
  readonly stripsRight: boolean;
}

export interface Section {
  readonly from: number;
  readonly to: number;
  readonly token: AddedToken | null;
}

/** @throws UnsupportedTokenizer when an id contradicts the vocabulary */
export function readAddedTokens(spec: unknown, vocabulary: ReadonlyMap<string, number>): AddedToken[] {
  if (spec === undefined || spec === null) return [];
  return listAt(spec, 'added_tokens').map((entry, i) => {
    const key = `added_tokens[${i}]`;
    const token = readAddedToken(objectAt(entry, key), key);
    const known = vocabulary.get(token.content);
    if (known !== undefined && known !== token.id) {
      throw new UnsupportedTokenizer(`tokenizer.json: ${key}.id is ${token.id}, in the vocabulary it is ${known}`);
    }
    return token;
  });
}

function readAddedToken(config: Json, key: string): AddedToken {
  const isSpecial = flagAt(config.special, `${key}.special`, false);
  return {
    id: idAt(config.id, `${key}.id`),
    content: textAt(config.content, `${key}.content`),
    isSpecial,
    isNormalised: flagAt(config.normalized, `${key}.normalized`, !isSpecial),
    isSingleWord: flagAt(config.single_word, `${key}.single_word`, false),
    stripsLeft: flagAt(config.lstrip, `${key}.lstrip`, false),
    stripsRight: flagAt(config.rstrip, `${key}.rstrip`, false),
  };
}

interface Node {
  readonly next: Map<number, Node>;
  token: AddedToken | null;
}

/** Finds tokens from left to right, the longest where several start. */
export class AddedTokenSplitter {
  readonly #root: Node = { next: new Map(), token: null };

  constructor(tokens: Iterable<readonly [string, AddedToken]>) {
    for (const [content, token] of tokens) if (content !== '') this.#add(content, token);
  }

  /** The whole text in order, in sections that are never empty. */
  split(text: string): Section[] {
    const sections: Section[] = [];
    let open = 0;
    for (let at = 0; at < text.length && this.#root.next.size > 0; ) {
      const found = this.#longestAt(text, at);
      if (!found) {
        at++;
        continue;
      }
      const end = at + found.length;
      const section = sectionOf(text, at, end, found.token, open);
      at = end;
      if (!section) continue;
      if (open < section.from) sections.push({ from: open, to: section.from, token: null });
      sections.push(section);
      open = section.to;
    }
    if (open < text.length) sections.push({ from: open, to: text.length, token: null });
    return sections;
  }

  #add(content: string, token: AddedToken): void {
    let node = this.#root;
    for (let i = 0; i < content.length; i++) {
      const unit = content.charCodeAt(i);
      let next = node.next.get(unit);
      if (!next) {
        next = { next: new Map(), token: null };
        node.next.set(unit, next);
      }
      node = next;
    }
    node.token = token;
  }

  #longestAt(text: string, from: number): { token: AddedToken; length: number } | null {
    let best: { token: AddedToken; length: number } | null = null;
    let node = this.#root.next.get(text.charCodeAt(from));
    for (let at = from + 1; node; at++) {
      if (node.token) best = { token: node.token, length: at - from };
      node = at < text.length ? node.next.get(text.charCodeAt(at)) : undefined;
    }
    return best;
  }
}

/** Null where a token that must be a whole word is only part of one. */
function sectionOf(text: string, start: number, end: number, token: AddedToken, open: number): Section | null {
  if (token.isSingleWord && (isWordCharacter(charBefore(text, start)) || isWordCharacter(charAt(text, end)))) {
    return null;
  }
  let from = start;
  let to = end;
  while (token.stripsLeft && from > open && isWhitespace(text[from - 1] as string)) from--;
  while (token.stripsRight && to < text.length && isWhitespace(text[to] as string)) to++;
  return { from, to, token };
}
