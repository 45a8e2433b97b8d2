/** Requests with a malformed or large document: mutated operations, documents generated from the schema, extremes. */
import { below, pick, type Random } from '../../support/seeded-random.ts';
import { growDocument, type Operation } from './grammar.ts';
import type { Material } from './material.ts';
import { mutateTokens } from './tokens.ts';
import { mutateJson, oddJson, oddWord, toJson } from './values.ts';

/** The body of a request. */
export function makeDocument(random: Random, material: Material): string {
  const { query, variables } = chooseDocument(random, material);
  if (random() < 0.97) return toJson({ query, variables });
  return oddRequest(random, query, variables);
}

function chooseDocument(random: Random, { schema, operations, harvest }: Material): Operation {
  const kind = random();
  if (kind < 0.05) return { query: extreme(random), variables: {} };
  const others = operations.map(({ query }) => query);
  if (kind < 0.4) {
    const { query, variables } = pick(random, operations);
    return { query: mutateTokens(random, query, others), variables };
  }
  const grown = growDocument(random, schema, harvest);
  return kind < 0.8 ? grown : { ...grown, query: mutateTokens(random, grown.query, others) };
}

/** Large documents that cost a caller little. Their size is random, so that both sides of each limit are tried. */
function extreme(random: Random): string {
  const n = 2 ** below(random, 12);
  const nested = (open: string, leaf: string, close: string) => open.repeat(n) + leaf + close.repeat(n);
  const makers: readonly (() => string)[] = [
    () => `{ ${nested('model(name: "spam-filter") { version { ', 'name', ' } }')} }`,
    () => nested('{ models ', '', '}'),
    () => `{ models(filter: ${nested('[', '', ']')}) { totalCount } }`,
    () => `mutation { predict(input: { model: "x", input: { row: ${nested('{ a: ', '1', ' }')} } }) { replayed } }`,
    () => `{ ${Array.from({ length: n }, (_, i) => `a${i}: models(first: 100) { totalCount }`).join(' ')} }`,
    () =>
      `{ ...F0 } ${Array.from({ length: n }, (_, i) => `fragment F${i} on Query { ...F${i + 1} ...F${i + 1} }`).join(' ')} fragment F${n} on Query { __typename }`,
    () => `{ ...F } fragment F on Query { ${'...F '.repeat(n)} }`,
    () => `query Q(${Array.from({ length: n }, (_, i) => `$v${i}: Int = ${i}`).join(', ')}) { __typename }`,
    () => Array.from({ length: n }, (_, i) => `query Q${i} { __typename }`).join('\n'),
    () => `{ __typename ${'@include(if: true) '.repeat(n)} }`,
    () => `{ models(search: "${'a '.repeat(n)}") { totalCount } }`,
    () => `{ models(first: ${'9'.repeat(n)}) { totalCount } }`,
    () => `{ node(id: "${'x'.repeat(n)}") { id } }`,
    () => `{ nodes(ids: [${'"x" '.repeat(n)}]) { id } }`,
    () => `${'#'.repeat(n)}\n${','.repeat(n)}{ __typename }${'\ufeff'.repeat(n)}`,
    () => `{ __schema { ${nested('types { fields { type { ', 'name', ' } } }')} } }`,
    () => `${'{'.repeat(n)}`,
    () => `"""${'"'.repeat(n)}`,
    () => nested('query Q($a: ', '[Int]', '!'),
    () => `{ ${'é💥'.repeat(n)} }`,
    () => `{ models(${'first: 1 '.repeat(n)}) { totalCount } }`,
  ];
  return pick(random, makers)();
}

/** Malformed request bodies around valid or invalid documents. */
function oddRequest(random: Random, query: string, variables: unknown): string {
  switch (below(random, 7)) {
    case 0:
      return toJson({ query, variables, operationName: oddJson(random, 1) });
    case 1:
      return toJson({ query, variables, extensions: oddJson(random) });
    case 2:
      return toJson({ query, variables: oddJson(random) });
    case 3:
      return toJson([{ query, variables }]);
    case 4:
      return toJson(mutateJson(random, { query, variables }));
    case 5: {
      const body = toJson({ query, variables });
      return body.slice(0, below(random, body.length));
    }
    default:
      return oddWord(random);
  }
}
