/** Keeps absolute paths out of what callers read. The log has them. */
import { readdirSync } from 'node:fs';

/**
 * The folders in the root of this machine. Names in a graph can look like a path, but do not begin with one of them. Read
 * synchronously, because that happens once, when the module is loaded: before the server listens.
 */
const ROOTS = (process.platform === 'win32' ? [] : readdirSync('/'))
  .map((name) => name.replaceAll(/[^\w-]/g, '\\$&'))
  .join('|');

/** In quotes, with spaces; or without. A path of this machine, one of Windows, or a source file of a native library. */
const PATHS = [
  new RegExp(`(?<=(["'\`]))(?:file://)?/(?:${ROOTS})(?:/(?:(?!\\1)[^\\n])*)?(?=\\1)`, 'g'),
  new RegExp(`(?:file://|(?<![\\w./-]))/(?:${ROOTS})/[^\\s"'\`,;:()<>\\[\\]]*`, 'g'),
  /(?<!\w)(?:file:\/\/\/)?[a-z]:[\\/][^\s"'`,;:()<>]*/gi,
  /(?<![\w./-])\/[^\s"'`,;:()<>]*\.(?:cc|cpp|c|h|hpp|rs|js|ts|node|so)\b/g,
];

/** The text with the last name of each absolute path in place of the path. */
export function withoutPaths(text: string): string {
  return PATHS.reduce((rest, pattern) => rest.replace(pattern, lastName), text);
}

function lastName(file: string): string {
  return file.split(/[\\/]/).findLast((name) => name !== '') ?? '';
}
