/**
 * The paths of published files. They name files in a new, empty folder, on any operating system: so they are relative, visible,
 * short and different from each other, also where case does not count.
 */
import type { InputProblem } from '../errors.js';

export const MAX_FILES = 200;
const MAX_CHARACTERS = 200;
/** As deep as the import looks. */
const MAX_LEVELS = 4;
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.+=@-]*$/;
/** Windows opens devices for these names, with any extension. */
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;
const EXPECTED = `a relative path of at most ${MAX_CHARACTERS} characters and ${MAX_LEVELS} names of letters, digits and _ . + = @ -, such as "onnx/model.onnx"`;

function isName(name: string): boolean {
  return NAME.test(name) && !name.endsWith('.') && !DEVICE.test(name);
}

function isPath(path: string): boolean {
  const names = path.split('/');
  return path.length <= MAX_CHARACTERS && names.length <= MAX_LEVELS && names.every(isName);
}

/** What is wrong with the paths of files, at `input.files.<index>.path`. */
export function pathProblems(paths: readonly string[]): InputProblem[] {
  const problems: InputProblem[] = [];
  const add = (i: number, message: string, expected: string, received: string) =>
    problems.push({ path: ['input', 'files', String(i), 'path'], code: 'UNREADABLE', message, expected, received });
  /** Files, and the folders above them, by their name in lower case. */
  const known = new Map<string, { readonly place: string; readonly isFile: boolean }>();
  for (const [i, path] of paths.entries()) {
    if (!isPath(path)) {
      add(i, 'the path is not accepted', EXPECTED, JSON.stringify(path));
      continue;
    }
    const names = path.split('/');
    for (let level = 1; level <= names.length; level++) {
      const place = names.slice(0, level).join('/');
      const isFile = level === names.length;
      const other = known.get(place.toLowerCase());
      if (other && (isFile || other.isFile || other.place !== place))
        add(i, 'another path is the same, or differs in upper and lower case only', 'different paths', path);
      known.set(place.toLowerCase(), { place, isFile });
    }
  }
  return problems;
}
