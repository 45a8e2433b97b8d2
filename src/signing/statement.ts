/** What is signed: an in-toto statement that lists the files of a model with their digests. */
import { createHash } from 'node:crypto';
import { JsonPart } from './json-part.js';

const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
const PREDICATE_TYPE = 'https://model_signing/signature/v1.0';

/** SHA-256 by path, relative to the folder of the model. */
export type SignedFiles = ReadonlyMap<string, string>;

/**
 * Of a payload whose signature was verified. `ignore_paths` is not read: files that it leaves out are files that nobody has
 * signed. Neither is `allow_symlinks`: what a link leads to has a digest like any other file.
 *
 * @throws SignatureError
 */
export function readStatement(payload: Uint8Array): SignedFiles {
  const statement = JsonPart.parse(payload, 'the statement');
  statement.get('_type').is(STATEMENT_TYPE);
  statement.get('predicateType').is(PREDICATE_TYPE);
  const predicate = statement.get('predicate');
  // Parts of files (`shards`) and other digests are an option of the library that its command does not offer.
  predicate.get('serialization').get('method').is('files');
  predicate.get('serialization').get('hash_type').is('sha256');
  const files = new Map<string, string>();
  const root = createHash('sha256');
  for (const resource of predicate.get('resources').list()) {
    resource.get('algorithm').is('sha256');
    const [name, digest] = [resource.get('name').text(), resource.get('digest').sha256()];
    if (!isPath(name)) resource.get('name').refuse('a path inside the folder');
    if (files.has(name)) resource.get('name').refuse('different paths');
    files.set(name, digest);
    root.update(digest, 'hex');
  }
  if (files.size === 0) predicate.get('resources').refuse('at least one file');
  statement.get('subject').only().get('digest').get('sha256').is(root.digest('hex'));
  return files;
}

/** Whether the path has one way to be written, and stays in the folder, on any operating system. */
function isPath(name: string): boolean {
  return !/[\\:\0]/.test(name) && name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}
