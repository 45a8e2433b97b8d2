/**
 * The contents of a stored prediction: sealed in its row and, if its input is large, in a blob.
 *
 * Rows of earlier releases are not sealed until `seal-earlier.ts` has come to them.
 */
import { UnreadableRecordError } from '../errors.js';
import type { PredictionTable } from '../storage/migrations/prediction.table.js';
import type { ToSeal } from '../storage/sealing.js';
import type { DataKey } from '../vault/data-key.js';
import { CHUNK_BYTES, placeOf } from '../vault/file-key.js';
import type { Runtime, Timing } from './prediction.type.js';
import { type InputSummary, jsonOfImage, readSummary } from './recorded-input.js';

/** Larger answers are sealed apart, so that what else there is of a prediction can be read without them. */
const MAX_SMALL_ANSWER_CHARACTERS = 16 * 1024;

/** As JSON, which has no line breaks. */
export interface Contents {
  readonly timing: string;
  readonly runtime: string;
  /** Of an input in a blob, its summary. Null if it is not stored, or an earlier release has stored it in a blob. */
  readonly input: string | null;
  readonly answer: string;
}

/** What identifies a stored prediction. */
export type Identity = Pick<PredictionTable, 'id' | 'principal_id'>;

type ContentColumn = 'input' | 'answer' | 'timing' | 'runtime' | 'data_key' | 'sealed' | 'sealed_answer';
/** The columns that hold contents; the storage thread seals what is to be sealed. */
export type SealedColumns = Omit<Pick<PredictionTable, ContentColumn>, 'sealed' | 'sealed_answer'> & {
  readonly sealed: ToSeal;
  readonly sealed_answer: ToSeal | null;
};

function addressOf({ id, principal_id }: Identity, column: 'sealed' | 'sealed_answer' | 'blob') {
  return { table: 'prediction', column, row: id, account: principal_id };
}

export function sealedColumns(key: DataKey, identity: Identity, contents: Contents): SealedColumns {
  const { timing, runtime, input, answer } = contents;
  const isSmall = answer.length <= MAX_SMALL_ANSWER_CHARACTERS;
  const text = `${timing}\n${runtime}\n${input ?? ''}\n${isSmall ? answer : ''}`;
  return {
    input: null,
    answer: '',
    timing: '',
    runtime: '',
    data_key: key.id,
    sealed: key.toSeal(text, addressOf(identity, 'sealed')),
    sealed_answer: isSmall ? null : key.toSeal(answer, addressOf(identity, 'sealed_answer')),
  };
}

/** The address of an image that is sealed in chunks. `maxSize`: 0 for the image itself. */
export function addressOfFile({ id, principal_id }: Identity, name: string, maxSize: number) {
  return { table: 'picture', column: `${name} ${maxSize}`, row: id, account: principal_id };
}

export function sealedBlob(key: DataKey, identity: Identity, input: string | Uint8Array): Buffer {
  return key.seal(input, addressOf(identity, 'blob'));
}

export type SealedRow = Identity & { readonly sealed: Uint8Array };

/** Whether the row was sealed with this key. */
export function opensWith({ sealed, ...identity }: SealedRow, key: DataKey): boolean {
  return key.open(sealed, addressOf(identity, 'sealed')) !== null;
}

/** Columns of a row as far as they were read, in either form. */
export type StoredColumns = Identity & Pick<PredictionTable, 'data_key'> & Partial<PredictionTable>;

/** A row of which contents were read. They are opened when they are asked for. */
export class StoredRow {
  readonly #row: StoredColumns;
  readonly #key: DataKey | undefined;
  #parts: Contents | null = null;

  /** `key`: undefined if the row is not sealed, or there is no key for it. */
  constructor(row: StoredColumns, key: DataKey | undefined) {
    this.#row = row;
    this.#key = key;
  }

  get id(): string {
    return this.#row.id;
  }

  /** Null for a prediction recorded by an earlier release: only its answer says it. */
  get truncated(): boolean | null {
    const { truncated = null } = this.#row;
    return truncated === null ? null : truncated === 1;
  }

  /** @throws UnreadableRecordError */
  get timing(): Timing {
    return JSON.parse(this.#opened().timing);
  }

  /** @throws UnreadableRecordError */
  get runtime(): Runtime {
    return JSON.parse(this.#opened().runtime);
  }

  /** The answer as JSON. @throws UnreadableRecordError */
  answer(): string {
    const { sealed_answer } = this.#row;
    return sealed_answer ? this.#open(sealed_answer, 'sealed_answer').toString() : this.#opened().answer;
  }

  /** The input as JSON. `blob`: what is stored in the blob of the row, if it has one. @throws UnreadableRecordError */
  input(blob: Buffer | null): string {
    if (!blob) return this.#opened().input ?? 'null';
    if (this.#row.data_key === null) return blob.toString();
    const file = this.inputSummary()?.file;
    return file ? jsonOfImage(file.prefix, this.#openFile(blob, file.sizeBytes)) : this.#open(blob, 'blob').toString();
  }

  /** What is known of the input without its blob. Null if an earlier release has stored it in a blob. @throws UnreadableRecordError */
  inputSummary(): InputSummary | null {
    const { input } = this.#opened();
    return input === null ? null : readSummary(input);
  }

  #openFile(blob: Buffer, sizeBytes: number): Buffer {
    const key = this.#keyOrThrow().ofFile(addressOfFile(this.#row, 'input', 0));
    const opened: Buffer[] = [];
    for (let at = 0; at < sizeBytes; at += CHUNK_BYTES) {
      const { chunk, offset, length } = placeOf(at, sizeBytes);
      const part = key.open(blob.subarray(offset, offset + length), chunk, sizeBytes);
      if (!part) throw this.#otherBytes();
      opened.push(part);
    }
    return Buffer.concat(opened);
  }

  #opened(): Contents {
    this.#parts ??= this.#row.data_key === null ? this.#plain() : this.#split();
    return this.#parts;
  }

  #plain(): Contents {
    const { timing = '', runtime = '', input = null, answer = '' } = this.#row;
    return { timing, runtime, input, answer };
  }

  #split(): Contents {
    const text = this.#open(this.#row.sealed ?? Buffer.alloc(0), 'sealed').toString();
    const [timing = '', runtime = '', input = '', ...rest] = text.split('\n');
    return { timing, runtime, input: input || null, answer: rest.join('\n') };
  }

  #open(sealed: Uint8Array, column: 'sealed' | 'sealed_answer' | 'blob'): Buffer {
    const opened = this.#keyOrThrow().open(sealed, addressOf(this.#row, column));
    if (!opened) throw this.#otherBytes();
    return opened;
  }

  #keyOrThrow(): DataKey {
    if (this.#key) return this.#key;
    throw new UnreadableRecordError(this.id, 'the key that it was encrypted with was erased or is missing');
  }

  #otherBytes(): UnreadableRecordError {
    return new UnreadableRecordError(this.id, 'its bytes are not those that were stored');
  }
}
