/**
 * The class names that Ultralytics writes into the metadata of an ONNX file, under the key `names`: a Python dict from
 * each index to its name, such as {0: 'person', 1: 'bicycle'}.
 */

/** A longer text is not read. */
export const MAX_NAMES_CHARACTERS = 1_048_576;

const ENTRY = /\s*(\d{1,6}|'\d{1,6}'|"\d{1,6}")\s*:\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*/y;
const ESCAPE = /\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)/gs;
const ESCAPED: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

/** Null if the text is not such a dict, or its indices are not 0, 1, 2 … */
export function parseClassNames(text: string): readonly string[] | null {
  const dict = text.length <= MAX_NAMES_CHARACTERS ? text.trim() : '';
  if (!dict.startsWith('{') || !dict.endsWith('}')) return null;
  const names: string[] = [];
  for (let at = 1; at < dict.length - 1; at++) {
    ENTRY.lastIndex = at;
    const entry = ENTRY.exec(dict);
    if (entry === null) return null;
    const [whole, index = '', quoted = ''] = entry;
    at += whole.length;
    // A comma, or the end of the dict.
    if (Number(index.replace(/['"]/g, '')) !== names.length || (dict[at] !== ',' && at !== dict.length - 1))
      return null;
    const name = unescaped(quoted.slice(1, -1));
    if (name === null || name === '') return null;
    names.push(name);
  }
  return names.length > 0 ? names : null;
}

function unescaped(text: string): string | null {
  let isValid = true;
  const name = text.replace(ESCAPE, (_, code: string) => {
    if (code.length === 1) return ESCAPED[code] ?? code;
    const point = Number.parseInt(code.slice(1), 16);
    isValid &&= point <= 0x10ffff;
    return isValid ? String.fromCodePoint(point) : '';
  });
  return isValid ? name : null;
}
