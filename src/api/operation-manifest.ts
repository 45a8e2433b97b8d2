/**
 * Reads what tools write about the operations of a client: the `persistedDocuments` of GraphQL Code Generator's client preset,
 * a JSON object of hashes and documents, and the persisted query manifest of Apollo. Both hash the text of the document.
 */
import { type InputProblem, InvalidInputError, shortened } from '../errors.js';

/** An operation as a tool wrote it. Nothing is checked but its types. */
export interface ManifestEntry {
  readonly path: readonly string[];
  readonly id: string;
  readonly document: string;
  /** What the manifest says besides; null if it does not. */
  readonly name: string | null;
  readonly type: string | null;
}

export const MAX_MANIFEST_PROBLEMS = 20;
const APOLLO_FORMAT = 'apollo-persisted-query-manifest';
const MANIFESTS = `a JSON object of hashes and documents, or {"format": "${APOLLO_FORMAT}", "version": 1, "operations": […]}`;

/** @param path of the manifest in the input, with which the paths of problems begin. @throws InvalidInputError */
export function readManifest(manifest: unknown, path: readonly string[]): ManifestEntry[] {
  if (!isRecord(manifest)) throw invalid(path, 'WRONG_TYPE', 'this is no manifest of operations', MANIFESTS, manifest);
  const entries = 'format' in manifest ? readApollo(manifest, path) : readHashes(manifest, path);
  if (entries.length > 0) return entries;
  throw invalid(path, 'EMPTY', 'the manifest has no operations', MANIFESTS, manifest);
}

function readHashes(manifest: Readonly<Record<string, unknown>>, path: readonly string[]): ManifestEntry[] {
  return Object.entries(manifest).map(([id, document]) => {
    const own = [...path, id];
    if (typeof document === 'string') return { path: own, id, document, name: null, type: null };
    throw invalid(own, 'WRONG_TYPE', 'the value of a hash is no document', 'a document as a string', document);
  });
}

function readApollo(manifest: Readonly<Record<string, unknown>>, path: readonly string[]): ManifestEntry[] {
  const { format, version, operations } = manifest;
  if (format !== APOLLO_FORMAT || version !== 1 || !Array.isArray(operations)) {
    const received = { format, version, operations: Array.isArray(operations) ? operations.length : operations };
    throw invalid(path, 'WRONG_KIND', 'this kind of manifest is not known', MANIFESTS, received);
  }
  return operations.map((operation: unknown, index) => {
    const own = [...path, 'operations', String(index)];
    const { id, name, type, body } = isRecord(operation) ? operation : {};
    if ([id, name, type, body].every((value) => typeof value === 'string'))
      return { path: own, id, name, type, document: body } as ManifestEntry;
    throw invalid(
      own,
      'WRONG_TYPE',
      'this is no operation',
      'an object with the strings id, name, type and body',
      operation,
    );
  });
}

function invalid(
  path: readonly string[],
  code: InputProblem['code'],
  message: string,
  expected: string,
  received: unknown,
): InvalidInputError {
  return new InvalidInputError([{ path, code, message, expected, received: described(received) }]);
}

/** In time that does not depend on its size. */
function described(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(shortened(value, 80));
  if (Array.isArray(value)) return `a list of ${value.length} elements`;
  if (!isRecord(value)) return String(value);
  const keys = Object.keys(value);
  return keys.length === 0 ? 'an empty object' : `an object with the keys ${keys.slice(0, 5).join(', ')}`;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
