/**
 * Values that resolvers return when an answer could be large: their size is known before they are read or built.
 *
 * `api/answers.ts` reserves the size in the budget of the answer and only then asks for the value. Aliases of a field
 * share one `Sized`, so the value is made once. What takes long is done in turns of the event loop.
 */

interface Size {
  /** Bytes that must be read from storage to make the value. Reserved once, however often the value is selected. */
  readonly readBytes?: number;
  /** Upper bound of the value's size as JSON, in bytes. Default: measured when the value is there. */
  readonly jsonBytes?: number;
  /** For a list of objects: the number of elements. Default: counted when the list is there. */
  readonly elements?: number;
  /** Whether the value is of a recorded prediction, which another caller of the account may have sent. */
  readonly isRecorded?: boolean;
}

export class Sized<T, Read = T> {
  /** Whether `readBytes` have been reserved. */
  isReserved = false;
  readonly #read: () => Read | Promise<Read>;
  readonly #decode: ((read: Read) => T | Promise<T>) | null;
  #made: T | Promise<T> | undefined;

  /**
   * @param read makes the value, or reads what it is made of
   * @param decode makes the value of what was read: in a turn of the event loop, because it takes long
   */
  constructor(
    readonly size: Size,
    read: () => Read | Promise<Read>,
    decode: ((read: Read) => T | Promise<T>) | null = null,
  ) {
    this.#read = read;
    this.#decode = decode;
  }

  get isDecoded(): boolean {
    return this.#decode !== null;
  }

  /** The value, made on first use. `inTurn` is called with what decodes it, and returns the result. */
  value(inTurn: (decode: () => unknown) => unknown = (decode) => decode()): T | Promise<T> {
    this.#made ??= this.#make(inTurn);
    return this.#made;
  }

  #make(inTurn: (decode: () => unknown) => unknown): T | Promise<T> {
    const decode = this.#decode;
    if (!decode) return this.#read() as T | Promise<T>;
    return Promise.resolve(this.#read()).then((read) => inTurn(() => decode(read)) as T | Promise<T>);
  }
}

/** JSON text that becomes part of an answer unchanged, without being parsed and serialized again. */
export class JsonText {
  constructor(readonly text: string) {}

  /** Called by `JSON.stringify` in `stringify` below; elsewhere the text is parsed. */
  toJSON(): unknown {
    if (texts === null) return JSON.parse(this.text);
    texts.push(this.text);
    return PLACEHOLDER;
  }
}

/** No caller knows it, so no string of an answer can contain it. */
const PLACEHOLDER = `json-text-${crypto.randomUUID()}`;
/** The texts that the running `stringify` has met, in order. */
let texts: string[] | null = null;

/** `JSON.stringify`, with the text of each `JsonText` in its place. */
export function stringify(value: unknown): string {
  const met: string[] = [];
  texts = met;
  try {
    const json = JSON.stringify(value);
    if (met.length === 0) return json;
    const [start, ...rest] = json.split(`"${PLACEHOLDER}"`);
    return rest.reduce((before, after, i) => before + met[i] + after, start as string);
  } finally {
    texts = null;
  }
}
