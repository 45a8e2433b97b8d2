/**
 * The decoders of a tokenizer.json: from tokens back to a text.
 */
import { bytesOfToken } from './byte-level.js';
import { type CompilePattern, flagAt, idAt, type Json, listAt, objectAt, textAt, unsupported } from './spec.js';

/** From tokens to pieces of text; joined they are the text. */
export type Decoder = (tokens: readonly string[]) => readonly string[];

/** @throws UnsupportedTokenizer that names the component */
export function createDecoder(spec: unknown, compile: CompilePattern, key = 'decoder'): Decoder {
  if (spec === null || spec === undefined) return (tokens) => [tokens.join(' ')];
  const config = objectAt(spec, key);
  switch (config.type) {
    case 'Sequence': {
      const all = listAt(config.decoders, `${key}.decoders`).map((one, i) =>
        createDecoder(one, compile, `${key}.decoders[${i}]`),
      );
      return (tokens) => all.reduce((pieces, one) => one(pieces), tokens);
    }
    case 'ByteLevel':
      return fromBytes;
    case 'ByteFallback':
      return fromByteTokens;
    case 'WordPiece':
      return wordPiece(config, key);
    case 'BPEDecoder':
      return withoutSuffix(textAt(config.suffix ?? '</w>', `${key}.suffix`));
    case 'Metaspace':
      return metaspace(config, key);
    case 'Replace': {
      const pattern = compile(objectAt(config.pattern, `${key}.pattern`), `${key}.pattern`);
      const content = textAt(config.content, `${key}.content`);
      return (tokens) => tokens.map((token) => token.replaceAll(pattern, () => content));
    }
    case 'Fuse':
      return (tokens) => [tokens.join('')];
    case 'Strip':
      return strip(config, key);
    default:
      throw unsupported(key, `the decoder ${String(config.type)}`);
  }
}

const lenient = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

function fromBytes(tokens: readonly string[]): string[] {
  return [lenient.decode(Uint8Array.from(tokens.flatMap(bytesOfToken)))];
}

/** Byte tokens in a row are one text; if they are no UTF-8, each of them is a replacement character. */
function fromByteTokens(tokens: readonly string[]): string[] {
  const pieces: string[] = [];
  let bytes: number[] = [];
  const flush = () => {
    for (const piece of decoded(bytes)) pieces.push(piece);
    bytes = [];
  };
  for (const token of tokens) {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    if (byte !== undefined) {
      bytes.push(Number.parseInt(byte, 16));
      continue;
    }
    flush();
    pieces.push(token);
  }
  flush();
  return pieces;
}

function decoded(bytes: readonly number[]): string[] {
  if (bytes.length === 0) return [];
  try {
    return [strict.decode(Uint8Array.from(bytes))];
  } catch {
    return bytes.map(() => '\ufffd');
  }
}

function wordPiece(config: Json, key: string): Decoder {
  const prefix = textAt(config.prefix ?? '##', `${key}.prefix`);
  const cleanUp = flagAt(config.cleanup, `${key}.cleanup`, true) ? cleanedUp : (token: string) => token;
  return (tokens) =>
    tokens.map((token, i) => {
      if (i === 0) return cleanUp(token);
      return cleanUp(token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`);
    });
}

const CLEAN_UP: readonly (readonly [string, string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [' do not', " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

const cleanedUp = (token: string) => CLEAN_UP.reduce((text, [from, to]) => text.replaceAll(from, to), token);

function withoutSuffix(suffix: string): Decoder {
  return (tokens) => tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? '' : ' '));
}

/** The first token loses every replacement character, not only the one that was put before the text. */
function metaspace(config: Json, key: string): Decoder {
  const replacement = textAt(config.replacement ?? '\u2581', `${key}.replacement`);
  const isPrepended = config.prepend_scheme !== 'never' && config.add_prefix_space !== false;
  return (tokens) => tokens.map((token, i) => token.replaceAll(replacement, i === 0 && isPrepended ? '' : ' '));
}

function strip(config: Json, key: string): Decoder {
  const content = textAt(config.content ?? ' ', `${key}.content`);
  const start = idAt(config.start ?? 0, `${key}.start`);
  const stop = idAt(config.stop ?? 0, `${key}.stop`);
  return (tokens) =>
    tokens.map((token) => {
      const chars = [...token];
      let from = 0;
      let to = chars.length;
      while (from < start && chars[from] === content) from++;
      while (chars.length - to < stop && to > from && chars[to - 1] === content) to--;
      return chars.slice(from, to).join('');
    });
}
