/**
 * Checks operations before they are registered: the hash of each is that of its document, which is valid for the schema and
 * within the limits, with a single operation that has a name.
 */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { type DocumentNode, GraphQLError, type GraphQLSchema, Kind, type OperationDefinitionNode } from 'graphql';
import { canonicalId, MAX_OPERATIONS, type NewOperation, SHA256_PREFIX } from '../access/registered-operations.js';
import { type InputProblem, InvalidInputError } from '../errors.js';
import { checkDocument } from './document-limits.js';
import { validateDocument } from './documents.js';
import { MAX_MANIFEST_PROBLEMS, type ManifestEntry, readManifest } from './operation-manifest.js';

const SHA1 = /^[0-9a-f]{40}$/;
const SHA256 = /^sha256:[0-9a-f]{64}$/;

/**
 * The operations of a manifest. Each is checked in a turn of the event loop of its own.
 *
 * @param path of the manifest in the input. @throws InvalidInputError that names the operation and the location of each mistake
 */
export async function checkManifest(
  schema: GraphQLSchema,
  manifest: unknown,
  path: readonly string[],
): Promise<NewOperation[]> {
  const entries = readManifest(manifest, path);
  if (entries.length > MAX_OPERATIONS) throw new InvalidInputError([tooMany(path, entries.length)]);
  const operations: NewOperation[] = [];
  const problems: InputProblem[] = [];
  for (const entry of entries) {
    await setImmediate();
    try {
      operations.push(checkEntry(schema, entry));
    } catch (error) {
      if (!(error instanceof Mistake)) throw error;
      problems.push(error.problem);
      if (problems.length >= MAX_MANIFEST_PROBLEMS) break;
    }
  }
  if (problems.length > 0) throw new InvalidInputError(problems);
  return operations;
}

/** The first thing that is wrong with an operation. */
class Mistake extends Error {
  constructor(readonly problem: InputProblem) {
    super(problem.message);
  }
}

function checkEntry(schema: GraphQLSchema, entry: ManifestEntry): NewOperation {
  const document = checkText(entry);
  const [error] = validateDocument(schema, document);
  if (error) throw mistake(entry, 'UNREADABLE', withLocation(error), 'a document that is valid for the schema');
  const { name, type } = operationOf(entry, document);
  if (entry.name !== null && (entry.name !== name || entry.type !== type))
    throw mistake(entry, 'WRONG_KIND', 'name and type are not those of the document', `${type} ${name}`, entry.type);
  return { id: checkHash(entry), name, type, document: entry.document };
}

/** Before the hash is computed, because the limits bound what it takes. */
function checkText(entry: ManifestEntry): DocumentNode {
  try {
    return checkDocument(entry.document).document;
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    const isTooLarge = error.extensions['limit'] !== undefined;
    throw mistake(entry, isTooLarge ? 'TOO_LARGE' : 'UNREADABLE', withLocation(error), 'a valid GraphQL document');
  }
}

function checkHash(entry: ManifestEntry): string {
  const id = canonicalId(entry.id);
  const isSha256 = SHA256.test(id);
  if (!isSha256 && !SHA1.test(id)) {
    const expected = 'the SHA-256 of the document in lower-case hexadecimal, with or without "sha256:", or its SHA-1';
    throw mistake(entry, 'UNREADABLE', 'the id is no hash that the server can check', expected, entry.id);
  }
  const digest = createHash(isSha256 ? 'sha256' : 'sha1')
    .update(entry.document)
    .digest('hex');
  const expected = isSha256 ? `${SHA256_PREFIX}${digest}` : digest;
  if (id === expected) return id;
  throw mistake(entry, 'WRONG_KIND', 'the hash is not that of the document', expected, entry.id);
}

function operationOf(entry: ManifestEntry, document: DocumentNode): Pick<NewOperation, 'name' | 'type'> {
  const operations = document.definitions.filter((one) => one.kind === Kind.OPERATION_DEFINITION);
  const [{ name, operation: type }] = operations as [OperationDefinitionNode];
  const expected = 'one query or mutation, with a name';
  if (operations.length > 1)
    throw mistake(
      entry,
      'WRONG_KIND',
      'the document has several operations',
      expected,
      `${operations.length} operations`,
    );
  if (!name || type === 'subscription')
    throw mistake(entry, 'MISSING', 'the operation has no name', expected, `${type} without a name`);
  return { name: name.value, type };
}

function withLocation({ message, locations }: GraphQLError): string {
  const [at] = locations ?? [];
  return at ? `${message} (line ${at.line}, column ${at.column})` : message;
}

function mistake(
  entry: ManifestEntry,
  code: InputProblem['code'],
  message: string,
  expected: string,
  received: string | null = null,
): Mistake {
  const name = entry.name ?? nameIn(entry.document);
  const about = name === null ? `operation ${entry.id}` : `operation ${name}`;
  return new Mistake({ path: entry.path, code, message: `${about}: ${message}`, expected, received });
}

/** Of a document that may not be valid, if the name is near its start. */
function nameIn(document: string): string | null {
  return /\b(?:query|mutation|subscription)\s+([A-Za-z_]\w{0,99})/.exec(document.slice(0, 2_000))?.[1] ?? null;
}

function tooMany(path: readonly string[], count: number): InputProblem {
  const expected = `at most ${MAX_OPERATIONS} operations`;
  const message = 'the manifest has too many operations';
  return { path, code: 'TOO_LARGE', message, expected, received: `${count} operations` };
}
