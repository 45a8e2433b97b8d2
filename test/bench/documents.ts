/**
 * Documents that overload a naive server. `npm run build && npx node test/bench/documents.ts` prints the CPU time that
 * this server takes to check, parse and validate each. Target: at most 20 ms for the worst.
 */
import 'reflect-metadata';
import { type DocumentNode, type GraphQLSchema, getIntrospectionQuery } from 'graphql';
import { checkDocument } from '#src/api/document-limits.js';
import { validateDocument } from '#src/api/documents.js';
import { LIMITS } from '#src/api/limits.js';
import { createSchema } from '#src/api/schema.js';
import { table } from './numbers.ts';

export interface HostileDocument {
  readonly title: string;
  readonly text: string;
  /** The error code, with the limit if there is one; null if the document is answered. */
  readonly refusedBy: string | null;
}

const TOO_LARGE = 'DOCUMENT_TOO_LARGE maxDocumentBytes';
const UNREADABLE = 'GRAPHQL_PARSE_FAILED';
const INVALID = 'GRAPHQL_VALIDATION_FAILED';
const beyond = (limit: keyof typeof LIMITS) => `DOCUMENT_LIMIT_EXCEEDED ${limit}`;

const many = (count: number, part: (i: number) => string) => Array.from({ length: count }, (_, i) => part(i)).join(' ');
/** The largest number of empty lines that is allowed, since an error at the end takes time for each line. */
const atTheEnd = (text: string) => `${'\n'.repeat(LIMITS.maxLines - 1)}${text}`;
/** `count` fragments with the given contents. */
const fragments = (count: number, body: (i: number) => string) =>
  many(count, (i) => `fragment F${i} on Query { ${body(i)} }`);
const dataset = (previews: number, first: number) =>
  `dataset(name: "a") { ${many(previews, () => `preview(first: ${first})`)} }`;
const versionChain = (first: number) =>
  `version { model { version { model { versions(first: ${first}) { nodes { id } } } } } }`;

/** `[title, text, error code]` */
const LARGE: readonly [string, string, string | null][] = [
  ['200,000 lines of comments', '#\n'.repeat(200_000), TOO_LARGE],
  ['16 KiB of comments', `{ __typename }${'#\n'.repeat(8_000)}`, beyond('maxTokens')],
  ['16 KiB of commas', `{ __typename ${','.repeat(16_300)} }`, null],
  ['16 KiB of empty lines', `{ __typename ${'\n'.repeat(16_300)} }`, beyond('maxLines')],
  ['16 KiB of one name', `{ ${'a'.repeat(16_300)} }`, INVALID],
  ['6,000 levels', `${'{a'.repeat(6_000)}${'}'.repeat(6_000)}`, TOO_LARGE],
  ['5,000 levels', `${'{a'.repeat(5_000)}${'}'.repeat(5_000)}`, beyond('maxTokens')],
  ['300 levels', `${'{a'.repeat(300)}${'}'.repeat(300)}`, beyond('maxNesting')],
  ['400 levels of lists', `{ nodes(ids: ${'['.repeat(400)}${']'.repeat(400)}) { id } }`, beyond('maxNesting')],
  ['400 levels of objects', `{ a(b: ${'{c:'.repeat(240)}1${'}'.repeat(240)}) }`, beyond('maxNesting')],
  ['400 brackets that are never opened', '}'.repeat(400), UNREADABLE],
  [
    'a block string of 16,000 lines',
    `{ models(search: """${'\n'.repeat(16_000)}""") { totalCount } }`,
    beyond('maxLines'),
  ],
  [
    '100 block strings',
    `{ ${many(100, () => `models(search: """${' \n'.repeat(60)}""") { totalCount }`)} }`,
    beyond('maxLines'),
  ],
  ['20,000 aliases', `{ ${many(20_000, (i) => `a${i}: __typename`)} }`, TOO_LARGE],
  ['300 aliases', `{ ${many(300, (i) => `a${i}: __typename`)} }`, beyond('maxAliases')],
  ['490 directives', `{ limits { maxDepth ${many(490, (i) => `@d${i}`)} } }`, beyond('maxDirectives')],
  ['a list of 7,000 numbers', `{ nodes(ids: [${'1 '.repeat(7_000)}]) { id } }`, beyond('maxTokens')],
  ['a list of 480 objects', atTheEnd(`{ nodes(ids: [${'{} '.repeat(480)}]) { id } }`), INVALID],
  ['240 variables', `query (${many(240, (i) => `$v${i}: Int`)}) { __typename }`, beyond('maxVariables')],
  ['60 fragments', `{ __typename } ${fragments(60, () => '__typename')}`, beyond('maxFragments')],
  ['30 operations', many(30, (i) => `query Q${i} { __typename }`), beyond('maxOperations')],
  ['50 root fields', `{ ${many(50, (i) => `a${i}: __typename`)} }`, beyond('maxRootFields')],
];

/** Documents that make the standard validation rules slow: conflicts of pairs, cycles, exponential growth, late errors. */
const INTRICATE: readonly [string, string, string | null][] = [
  [
    'fragments in a circle',
    `{ ...F0 } ${fragments(20, (i) => `...F${(i + 1) % 20}`)}`,
    beyond('maxRecursiveSelections'),
  ],
  [
    'fragments that all spread all',
    `{ ...F0 } ${fragments(20, () => many(20, (i) => `...F${i}`))}`,
    beyond('maxRecursiveSelections'),
  ],
  [
    '2^40 selections by a chain of fragments',
    `{ ...F0 } ${fragments(41, (i) => (i < 40 ? `...F${i + 1} ...F${i + 1}` : '__typename'))}`,
    beyond('maxRecursiveSelections'),
  ],
  ['3,000 fields that merge', `{ ${'limits { maxDepth } '.repeat(750)} }`, beyond('maxTokens')],
  ['480 fields that merge', `{ ${'limits { maxDepth } '.repeat(240)} }`, beyond('maxRecursiveSelections')],
  ['300 fields that merge', `{ ${'limits { maxDepth } '.repeat(150)} }`, beyond('maxComparisons')],
  ['as many fields that merge as are allowed', `{ ${'model(name: "a") { version { ref } } '.repeat(43)} }`, null],
  [
    'as many in fragments as are allowed',
    `{ ${many(29, (i) => `...F${i}`)} } ${fragments(29, () => 'limits { maxDepth } limits { maxDepth }')}`,
    null,
  ],
  [
    'fields that merge, in operations and a fragment',
    `${many(20, (i) => `query Q${i} { limits { maxDepth } ...F0 }`)} ${fragments(1, () => 'limits { maxDepth } '.repeat(57))}`,
    'OPERATION_RESOLUTION_FAILURE',
  ],
  ['6,400 conflicts in one', `{ ${dataset(80, 1)} ${dataset(80, 2)} }`, beyond('maxComparisons')],
  ['100 conflicts in one', `{ ${dataset(10, 1)} ${dataset(10, 2)} }`, beyond('maxDifferences')],
  ['as many conflicts as are allowed, deep', atTheEnd(`{ model(name: "a") { ${many(10, versionChain)} } }`), INVALID],
  ['arguments of one name, 325 times', atTheEnd(`{ models(${'first: 1 '.repeat(325)}) { totalCount } }`), INVALID],
  ['unknown fields', atTheEnd(`{ limits { ${many(290, (i) => `maxDepht${i}`)} } }`), INVALID],
  ['unknown types', atTheEnd(`{ ${many(140, (i) => `... on PredictionConnectio${i} { id }`)} }`), INVALID],
  ['unknown arguments', atTheEnd(`{ models(${many(320, (i) => `firs${i}: 1`)}) { totalCount } }`), INVALID],
  [
    'unknown values',
    `{ models(filter: { tasks: [${many(600, (i) => `TABULAR_CLASSIFICATIO${i}`)}] }) { totalCount } }`,
    INVALID,
  ],
  [
    'unknown values, short',
    atTheEnd(`{ models(filter: { tasks: [${many(960, (i) => `TENSO${i}`)}] }) { totalCount } }`),
    INVALID,
  ],
  [
    'long arguments, compared',
    `{ ${many(12, () => `models(filter: { tags: [${'"a" '.repeat(65)}] }) { totalCount }`)} }`,
    null,
  ],
  ['definitions of types', atTheEnd(many(140, (i) => `type A${i} { a: Int }`)), INVALID],
  [
    'introspection of introspection',
    `{ __schema { types { ${'fields { type { '.repeat(6)}name${' } }'.repeat(6)} } } }`,
    INVALID,
  ],
  [
    'the whole introspection',
    getIntrospectionQuery({ inputValueDeprecation: true, oneOf: true, schemaDescription: true }),
    null,
  ],
];

/** Text that is not valid GraphQL. */
const BROKEN: readonly [string, string, string | null][] = [
  ['a NUL', '{ __type\0name }', UNREADABLE],
  ['half a surrogate pair in a string', '{ model(name: "\ud800") { id } }', UNREADABLE],
  ['half a surrogate pair in a comment', '# \udfff\n{ __typename }', UNREADABLE],
  ['a string that does not end', `{ model(name: "${'a'.repeat(16_000)}`, UNREADABLE],
  ['a block string that does not end', `{ model(name: """${'a'.repeat(16_000)}`, UNREADABLE],
  ['nothing but a comment', '# nothing', UNREADABLE],
];

export const HOSTILE: readonly HostileDocument[] = [...LARGE, ...INTRICATE, ...BROKEN].map(
  ([title, text, refusedBy]) => ({
    title,
    text,
    refusedBy,
  }),
);

const ROUNDS = 15;

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** The server's work for a document it has not seen before. */
function read(schema: GraphQLSchema, text: string): string {
  let document: DocumentNode;
  try {
    document = checkDocument(text).document;
  } catch (error) {
    const { code, limit = '' } = (error as { extensions: Record<string, string> }).extensions;
    return `${code} ${limit}`;
  }
  const errors = validateDocument(schema, document);
  JSON.stringify(errors);
  return errors.length > 0 ? `${errors.length} errors` : 'valid';
}

function measure(schema: GraphQLSchema, { title, text }: HostileDocument) {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const begun = cpuMs();
    const outcome = read(schema, text);
    return { ms: cpuMs() - begun, outcome };
  });
  const [first] = rounds;
  const sorted = rounds.map(({ ms }) => ms).sort((a, b) => a - b);
  return {
    title,
    bytes: Buffer.byteLength(text),
    outcome: first?.outcome ?? '',
    first: first?.ms ?? 0,
    median: sorted[ROUNDS >> 1] ?? 0,
  };
}

if (process.argv[1] === import.meta.filename) {
  const schema = createSchema();
  // As on a warm server: the code for usual documents is compiled.
  for (let i = 0; i < 200; i++) read(schema, getIntrospectionQuery());
  const measured = HOSTILE.map((document) => measure(schema, document)).sort((a, b) => b.median - a.median);
  const rows = measured.map(({ title, bytes, outcome, first, median }) => [
    title,
    String(bytes),
    outcome,
    first.toFixed(1),
    median.toFixed(1),
  ]);
  console.log(table(['document', 'bytes', 'outcome', 'CPU ms, first sight', 'CPU ms, median'], rows));
}
