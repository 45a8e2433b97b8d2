/**
 * How an input is recorded: as JSON in the row, or, if that is large, as a blob with a summary in the row.
 *
 * The file of a large image is a blob as it is, sealed in chunks, so that parts of it can be read. Other blobs are JSON.
 */

import { shortened } from '../errors.js';
import { splitDataUrl } from '../tasks/image.js';
import { factsOfImage, type ImageFacts } from '../tasks/image-file.js';
import { INPUT_KEYS, type InputKind, type ModelInput } from '../tasks/tasks.js';

/** Larger inputs are blobs. */
export const MAX_INLINE_BYTES = 16 * 1024;
export const MAX_PREVIEW_CHARACTERS = 1_000;

/** An image that was sent. */
export interface ImageInputFile {
  readonly bytes: Uint8Array;
  /** What stood before its base64, such as "data:image/png;base64,". */
  readonly prefix: string;
  readonly facts: ImageFacts;
}

/** What is known of an input without reading its blob. */
export interface InputSummary {
  readonly kind: InputKind;
  /** Null for images and files. */
  readonly preview: string | null;
  /** Only of an image in a blob. */
  readonly file?: { readonly prefix: string; readonly sizeBytes: number };
}

const KINDS = new Map(Object.entries(INPUT_KEYS).map(([kind, key]) => [key, kind as InputKind]));

/** The texts that stand for inputs of several parts. */
const TEXT_OF: { readonly [Key in keyof ModelInput]?: (value: NonNullable<ModelInput[Key]>) => string } = {
  text: (text) => text,
  promptedText: ({ text }) => text,
  question: ({ question }) => question,
  similarity: ({ source }) => source,
  zeroShot: ({ text }) => text,
  ranking: ({ query }) => query,
};
/** Kinds whose bytes say nothing to people. */
const WITHOUT_PREVIEW: readonly (keyof ModelInput)[] = ['image', 'bytes'];

/** `json`: the input as JSON. An input has exactly one key. */
export function summaryOf(input: ModelInput, json: string): InputSummary {
  const key = (Object.keys(input) as (keyof ModelInput)[]).find((one) => input[one] != null) ?? 'tensors';
  const kind = KINDS.get(key) ?? 'TENSORS';
  if (WITHOUT_PREVIEW.includes(key)) return { kind, preview: null };
  const textOf = TEXT_OF[key] as ((value: unknown) => string) | undefined;
  const text = textOf ? textOf(input[key]) : json.slice(`{"${key}":`.length, -1);
  return { kind, preview: previewOf(text, MAX_PREVIEW_CHARACTERS) };
}

/** At most `max` characters, the last of which is "…" if the text is longer. */
export function previewOf(text: string, max: number): string {
  return text.length <= max ? text : shortened(text, max - 1);
}

/** Null if the size of the image cannot be read: then the input is recorded as any other. */
export function imageFileOf(bytes: Uint8Array, { image }: ModelInput): ImageInputFile | null {
  const facts = factsOfImage(bytes);
  const text = image?.base64 ?? '';
  const { base64 } = splitDataUrl(text);
  return facts && { bytes, prefix: text.slice(0, text.length - base64.length), facts };
}

/** The length of `jsonOfImage`. */
export function jsonBytesOfImage(prefix: string, sizeBytes: number): number {
  return Buffer.byteLength(jsonOfImage(prefix, new Uint8Array())) + base64Bytes(sizeBytes);
}

export function base64Bytes(sizeBytes: number): number {
  return 4 * Math.ceil(sizeBytes / 3);
}

/** The input as it was sent, but for the spelling of its base64, of which there are several. */
export function jsonOfImage(prefix: string, bytes: Uint8Array): string {
  const base64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
  return `{"image":{"base64":${JSON.stringify(prefix).slice(0, -1)}${base64}"}}`;
}

/** What the row of an input in a blob has in place of its JSON. No input has the key `about`. */
export function jsonOfSummary(summary: InputSummary): string {
  return JSON.stringify({ about: summary });
}

/** `json`: as it is in the row. */
export function readSummary(json: string): InputSummary {
  const parsed = JSON.parse(json);
  return parsed.about ?? summaryOf(parsed, json);
}
