/** Golden answers of the reference tokenizers; `test/worker/goldens/make-tokenizers.py` made them. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

const FOLDER = path.join(import.meta.dirname, '../worker/goldens/tokenizers');

/** One text and its tokens. */
export interface GoldenText {
  readonly text: string;
  readonly ids: readonly number[];
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly words: readonly number[];
  readonly decoded: string;
}

export interface Golden {
  readonly name: string;
  readonly spec: Record<string, unknown>;
  readonly texts: readonly GoldenText[];
  readonly pairTexts: readonly [string, string];
  /** Ids and types with special tokens: of the first text alone, and of both texts. */
  readonly single: readonly [number[], number[]];
  readonly pair: readonly [number[], number[]];
}

interface Shared {
  readonly texts: readonly string[];
  readonly charsmaps: readonly string[];
}

interface Packed extends Omit<Golden, 'name' | 'texts'> {
  readonly indices: readonly number[];
  readonly ids: readonly number[][];
  /** The start of each span, as the distance from the previous start, and its length. */
  readonly steps: readonly number[][];
  readonly lengths: readonly number[][];
  readonly words: readonly number[][];
  /** 0 if it is the text itself. */
  readonly decoded: readonly (string | 0)[];
}

const unpack = (name: string): unknown =>
  JSON.parse(gunzipSync(readFileSync(path.join(FOLDER, `${name}.json.gz`))).toString());

const shared = unpack('texts') as Shared;

export const GOLDEN_NAMES = readdirSync(FOLDER)
  .map((file) => file.replace('.json.gz', ''))
  .filter((name) => name !== 'texts');

export function golden(name: string): Golden {
  const packed = unpack(name) as Packed;
  return {
    ...packed,
    name,
    spec: withCharsmaps(packed.spec) as Record<string, unknown>,
    texts: packed.indices.map((index, row) => textOf(packed, row, shared.texts[index] as string)),
  };
}

function textOf(packed: Packed, row: number, text: string): GoldenText {
  let start = 0;
  const starts = (packed.steps[row] as number[]).map((step) => (start += step));
  return {
    text,
    ids: packed.ids[row] as number[],
    starts,
    ends: starts.map((from, i) => from + (packed.lengths[row]?.[i] as number)),
    words: packed.words[row] as number[],
    decoded: packed.decoded[row] === 0 ? text : (packed.decoded[row] as string),
  };
}

/** Each charsmap is stored once; a spec refers to it by number. */
function withCharsmaps(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withCharsmaps);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [
      key,
      key === 'precompiled_charsmap' ? shared.charsmaps[entry as number] : withCharsmaps(entry),
    ]),
  );
}
