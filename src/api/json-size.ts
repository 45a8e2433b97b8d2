/** The size of a value as JSON in UTF-8, in bytes, found without writing the JSON. */

/** Characters that JSON escapes, or that take more than one byte. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes control characters
const LARGER = /[\u0000-\u001f"\\\u0080-\uffff]/;

/**
 * Exact up to `most`. Counting stops there, so that it takes time proportional to `most` at most, besides listing the keys
 * of an object; the result is then any number above `most`. Recurses as deeply as the value is nested.
 */
export function jsonBytes(value: unknown, most = Number.POSITIVE_INFINITY): number {
  switch (typeof value) {
    case 'string':
      return stringBytes(value, most);
    case 'number':
      return Number.isFinite(value) ? String(value).length : NULL_BYTES;
    case 'boolean':
      return value ? 4 : 5;
    case 'object':
      if (value === null) return NULL_BYTES;
      if (hasToJson(value)) return jsonBytes(value.toJSON(), most);
      return Array.isArray(value) ? listBytes(value, most) : objectBytes(value, most);
    default:
      // What JSON does not have is null in a list, and left out of an object.
      return NULL_BYTES;
  }
}

const NULL_BYTES = 4;

function hasToJson(value: object): value is { toJSON(): unknown } {
  return 'toJSON' in value && typeof value.toJSON === 'function';
}

/** The brackets, and a comma after each element but the last. */
function listBytes(list: readonly unknown[], most: number): number {
  let bytes = 2 + Math.max(0, list.length - 1);
  for (let i = 0; i < list.length && bytes <= most; i++) bytes += jsonBytes(list[i], most - bytes);
  return bytes;
}

function objectBytes(object: object, most: number): number {
  let bytes = 1;
  for (const key of Object.keys(object)) {
    const value = (object as Readonly<Record<string, unknown>>)[key];
    if (value === undefined || typeof value === 'function' || typeof value === 'symbol') continue;
    bytes += stringBytes(key, most) + 2;
    if (bytes <= most) bytes += jsonBytes(value, most - bytes);
    if (bytes > most) return bytes;
  }
  return Math.max(2, bytes);
}

function stringBytes(text: string, most: number): number {
  if (text.length + 2 > most || !LARGER.test(text)) return text.length + 2;
  let bytes = 2;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) bytes += ESCAPED_BYTES[unit] as number;
    else if (unit < 0x800) bytes += 2;
    else if (unit < 0xd800 || unit > 0xdfff) bytes += 3;
    else if (unit < 0xdc00 && isLowSurrogate(text.charCodeAt(i + 1))) {
      bytes += 4;
      i++;
    } else bytes += UNICODE_ESCAPE_BYTES;
  }
  return bytes;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

/** As in `\u001f`: of other control characters, and of half a surrogate pair. */
const UNICODE_ESCAPE_BYTES = 6;

/** By ASCII character. */
const ESCAPED_BYTES = Uint8Array.from({ length: 0x80 }, (_, unit) => {
  if ('"\\\b\t\n\f\r'.includes(String.fromCharCode(unit))) return 2;
  return unit < 0x20 ? UNICODE_ESCAPE_BYTES : 1;
});
