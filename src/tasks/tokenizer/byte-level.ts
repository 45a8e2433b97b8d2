/**
 * Bytes as visible characters, the way GPT-2 writes them: a space is `Ġ`.
 */
import { type AlignedText, rewriteMatches } from './aligned-text.js';

/** The character that stands for each byte: itself where it is visible, else the next one from U+0100 on. */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  const visible = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(visible(byte) ? byte : next++));
})();

/** How models with a fall-back to bytes write one byte as a token. */
export const byteToken = (byte: number) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;

const BYTE_OF = new Map(BYTE_CHARACTERS.map((char, byte) => [char, byte]));

const encoder = new TextEncoder();
const known = new Map<string, string>();

function bytesOf(char: string): string {
  let found = known.get(char);
  if (found === undefined) {
    found = Array.from(encoder.encode(char), (byte) => BYTE_CHARACTERS[byte]).join('');
    if (known.size >= 20_000) known.clear();
    known.set(char, found);
  }
  return found;
}

/** Every byte character of one character stands for the whole of it. */
export function toByteCharacters(text: AlignedText): AlignedText {
  if (!/[\x80-\uffff]/.test(text.text)) return text.withText(text.text.replaceAll(/[^!-~]/g, bytesOf));
  return rewriteMatches(text, /[^!-~]/gu, (rewriter, char) => {
    const bytes = bytesOf(char);
    rewriter.replace(bytes[0] as string);
    rewriter.insert(bytes.slice(1));
  });
}

/** Back to bytes; a token with any other character is taken as it is. */
export function bytesOfToken(token: string): number[] {
  const bytes = Array.from(token, (char) => BYTE_OF.get(char) ?? -1);
  return bytes.includes(-1) ? [...encoder.encode(token)] : bytes;
}
