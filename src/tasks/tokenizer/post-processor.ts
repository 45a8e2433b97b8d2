/**
 * The post-processor of a tokenizer.json: what goes around texts, and whether places leave out the space before a word.
 */
import type { TemplatePart } from '../sequences.js';
import { BYTE_CHARACTERS } from './byte-level.js';
import { flagAt, idAt, type Json, listAt, objectAt, textAt, UnsupportedTokenizer, unsupported } from './spec.js';
import { isWhitespace } from './unicode.js';

/** One pass over the places of all tokens that leaves white space out. */
export interface Trim {
  readonly addsPrefixSpace: boolean;
  /** A special token stands before the first token already. */
  readonly isAfterTemplate: boolean;
}

export interface PostProcessor {
  readonly single: readonly TemplatePart[];
  readonly pair: readonly TemplatePart[];
  readonly trims: readonly Trim[];
}

const BARE: PostProcessor = {
  single: [{ sequence: 'A', type: 0 }],
  pair: [
    { sequence: 'A', type: 0 },
    { sequence: 'B', type: 1 },
  ],
  trims: [],
};

/** @throws UnsupportedTokenizer that names the component */
export function readPostProcessor(spec: unknown, key = 'post_processor'): PostProcessor {
  const processors = flatten(spec, key);
  const templates = processors.filter(({ config }) => config.type !== 'ByteLevel');
  if (templates.length > 1) throw unsupported(key, 'more than one template');
  const [template] = templates;
  return {
    ...(template ? readTemplate(template.config, template.key) : BARE),
    trims: readTrims(processors.map(({ config }) => config)),
  };
}

function flatten(spec: unknown, key: string): { config: Json; key: string }[] {
  if (spec === null || spec === undefined) return [];
  const config = objectAt(spec, key);
  if (config.type !== 'Sequence') return [{ config, key }];
  return listAt(config.processors, `${key}.processors`).flatMap((one, i) => flatten(one, `${key}.processors[${i}]`));
}

function readTemplate(config: Json, key: string): Pick<PostProcessor, 'single' | 'pair'> {
  switch (config.type) {
    case 'TemplateProcessing':
      return {
        single: readParts(config, 'single', key),
        pair: readParts(config, 'pair', key),
      };
    case 'BertProcessing':
      return aroundTexts(config, key, { separators: 1, typeOfB: 1 });
    case 'RobertaProcessing':
      return aroundTexts(config, key, { separators: 2, typeOfB: 0 });
    default:
      throw unsupported(key, `the post-processor ${String(config.type)}`);
  }
}

/** One text: cls A sep. A pair: cls A sep, for some one more sep, B sep. */
function aroundTexts(config: Json, key: string, kind: { separators: number; typeOfB: number }) {
  const idOf = (name: string) => idAt(listAt(config[name], `${key}.${name}`)[1], `${key}.${name}[1]`);
  const [cls, sep] = [idOf('cls'), idOf('sep')];
  const single: TemplatePart[] = [
    { special: cls, type: 0 },
    { sequence: 'A', type: 0 },
    { special: sep, type: 0 },
  ];
  const type = kind.typeOfB;
  const between: TemplatePart[] = kind.separators === 2 ? [{ special: sep, type }] : [];
  return { single, pair: [...single, ...between, { sequence: 'B' as const, type }, { special: sep, type }] };
}

function readParts(config: Json, name: 'single' | 'pair', key: string): TemplatePart[] {
  const specials = objectAt(config.special_tokens ?? {}, `${key}.special_tokens`);
  return listAt(config[name], `${key}.${name}`).flatMap((entry, i): TemplatePart[] => {
    const at = `${key}.${name}[${i}]`;
    const part = objectAt(entry, at);
    if (part.Sequence) {
      const { id, type_id } = objectAt(part.Sequence, at);
      return [{ sequence: id === 'B' ? 'B' : 'A', type: idAt(type_id, `${at}.type_id`) }];
    }
    const { id, type_id } = objectAt(part.SpecialToken, at);
    const type = idAt(type_id, `${at}.type_id`);
    return idsOf(specials, textAt(id, `${at}.id`), key).map((special) => ({ special, type }));
  });
}

function idsOf(specials: Json, name: string, key: string): number[] {
  if (!specials[name]) throw new UnsupportedTokenizer(`tokenizer.json: ${key}.special_tokens has no ${name}`);
  const { ids } = objectAt(specials[name], `${key}.special_tokens.${name}`);
  return listAt(ids, `${key}.special_tokens.${name}.ids`).map((id) => idAt(id, `${key}.special_tokens.${name}.ids`));
}

function readTrims(processors: readonly Json[]): Trim[] {
  const trims: Trim[] = [];
  let isAfterTemplate = false;
  for (const config of processors) {
    const isRoberta = config.type === 'RobertaProcessing';
    if ((isRoberta || config.type === 'ByteLevel') && flagAt(config.trim_offsets, 'trim_offsets', true)) {
      trims.push({ addsPrefixSpace: flagAt(config.add_prefix_space, 'add_prefix_space', true), isAfterTemplate });
    }
    if (isRoberta || config.type === 'BertProcessing') isAfterTemplate = true;
  }
  return trims;
}

/** Moves the places of each token inwards past its white space, counted in characters of the text that was sent. */
export function trimPlaces(trim: Trim, text: string, tokens: readonly string[], starts: Int32Array, ends: Int32Array) {
  tokens.forEach((token, i) => {
    const trailing = spacesAt(token, true);
    let leading = spacesAt(token, false);
    if (leading + trailing === 0) return;
    const isFirst = (i === 0 && !trim.isAfterTemplate) || starts[i] === 0;
    if (isFirst && trim.addsPrefixSpace && leading === 1) leading = 0;
    const end = ends[i] as number;
    const start = Math.min(moved(text, starts[i] as number, leading), end);
    starts[i] = start;
    if (codePointsBefore(text, end, trailing)) ends[i] = Math.max(moved(text, end, -trailing), start);
  });
}

const SPACE = BYTE_CHARACTERS[32] as string;

function spacesAt(token: string, fromEnd: boolean): number {
  let count = 0;
  for (; count < token.length; count++) {
    const char = token[fromEnd ? token.length - 1 - count : count] as string;
    if (char !== SPACE && (char < '\x80' ? !/\s/.test(char) : !isWhitespace(char))) break;
  }
  return count;
}

/** The place so many characters further on, or back. */
function moved(text: string, from: number, characters: number): number {
  let at = from;
  for (let i = 0; i < characters; i++) at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  for (let i = 0; i > characters; i--) at -= /[\udc00-\udfff]/.test(text[at - 1] ?? '') ? 2 : 1;
  return at;
}

/** Are there that many characters before a place? The reference leaves it alone otherwise. */
const codePointsBefore = (text: string, end: number, count: number) =>
  end >= 2 * count || moved(text, end, -count) >= 0;
