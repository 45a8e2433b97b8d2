/**
 * The limits of a document, checked before it is validated.
 *
 * `checkDocument` first counts bytes, tokens and brackets, so that the parser cannot overflow the stack. It then parses
 * the text and counts the contents of the tree, because some of the standard validation rules take quadratic time. It
 * needs no schema and never recurses.
 */
import {
  type DefinitionNode,
  type DocumentNode,
  type FieldNode,
  GraphQLError,
  Kind,
  Lexer,
  parse,
  print,
  type SelectionSetNode,
  Source,
  TokenKind,
  visit,
} from 'graphql';
import { LIMITS } from './limits.js';

/** @throws GraphQLError with a code, if the document is not valid GraphQL or exceeds a limit */
export function checkDocument(text: string): { document: DocumentNode; tokens: number } {
  const tokens = checkDocumentText(text);
  const document = read(() => parse(text, { maxLexicalTokens: LIMITS.maxTokens }));
  checkTree(document);
  return { document, tokens };
}

/** A RangeError is also a mistake in the text: its nesting is too deep for the remaining stack. */
function read<T>(reading: () => T): T {
  try {
    return reading();
  } catch (error) {
    if (!(error instanceof GraphQLError || error instanceof RangeError)) throw error;
    const { message, source = null, positions = null } = error as GraphQLError;
    throw new GraphQLError(message, { source, positions, extensions: { code: 'GRAPHQL_PARSE_FAILED' } });
  }
}

/** Returns the number of tokens. */
function checkDocumentText(text: string): number {
  const bytes = Buffer.byteLength(text);
  if (bytes > LIMITS.maxDocumentBytes) throw exceeded('maxDocumentBytes', bytes, 'DOCUMENT_TOO_LARGE');
  const { tokens, nesting, lines } = read(() => countTokens(text));
  checkLimit('maxTokens', tokens);
  checkLimit('maxNesting', nesting);
  checkLimit('maxLines', lines);
  return tokens;
}

const OPENING: readonly string[] = [TokenKind.PAREN_L, TokenKind.BRACKET_L, TokenKind.BRACE_L];
const CLOSING: readonly string[] = [TokenKind.PAREN_R, TokenKind.BRACKET_R, TokenKind.BRACE_R];

/** Comments count as tokens here; graphql-js does not count them. */
function countTokens(text: string) {
  const lexer = new Lexer(new Source(text));
  let tokens = 0;
  let nesting = 0;
  let open = 0;
  for (let last = lexer.token; last.kind !== TokenKind.EOF; last = lexer.token) {
    const token = lexer.advance();
    for (let next = last.next; next !== null && next !== token; next = next.next) tokens++;
    if (token.kind !== TokenKind.EOF) tokens++;
    if (OPENING.includes(token.kind)) nesting = Math.max(nesting, ++open);
    if (CLOSING.includes(token.kind)) open--;
  }
  return { tokens, nesting, lines: lexer.line };
}

/** @throws GraphQLError with a code, if the tree exceeds a limit */
function checkTree(document: DocumentNode): void {
  const { definitions } = document;
  const fragments = new Map<string, SelectionSetNode>();
  for (const node of definitions) {
    if (node.kind === Kind.FRAGMENT_DEFINITION) fragments.set(node.name.value, node.selectionSet);
  }
  checkLimit('maxOperations', definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION).length);
  checkLimit('maxFragments', definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION).length);
  let aliases = 0;
  let directives = 0;
  visit(document, {
    Field(node) {
      if (node.alias) aliases++;
    },
    Directive() {
      directives++;
    },
  });
  checkLimit('maxAliases', aliases);
  checkLimit('maxDirectives', directives);
  const merge = new Merge(fragments);
  for (const node of definitions) checkDefinition(node, merge);
}

function checkDefinition(node: DefinitionNode, merge: Merge): void {
  if (node.kind !== Kind.OPERATION_DEFINITION && node.kind !== Kind.FRAGMENT_DEFINITION) return;
  checkLimit('maxVariables', node.variableDefinitions?.length ?? 0);
  const { rootFields, depth, comparisons, differences } = merge.extentOf(node.selectionSet);
  checkLimit('maxComparisons', comparisons);
  checkLimit('maxDifferences', differences);
  // The depth of a fragment, and whether it belongs to introspection, is known only where it is spread.
  if (node.kind !== Kind.OPERATION_DEFINITION) return;
  checkLimit('maxRootFields', rootFields);
  checkLimit('maxDepth', depth);
}

/** The fields with one response name in one selection set. The standard rules compare each of them with every other. */
interface Place {
  fields: number;
  /** Number of fields by field name and arguments. */
  readonly alike: Map<string, number>;
  readonly below: Places;
}

type Places = Map<string, Place>;

/** The time to compare two fields with selections, relative to two fields without. */
const COST_OF_SUBSELECTIONS = 5;

/** Merges selections with the same response name, as execution does, including those of spread fragments. */
class Merge {
  readonly #fragments: ReadonlyMap<string, SelectionSetNode>;
  readonly #asked = new Map<FieldNode, string>();

  constructor(fragments: ReadonlyMap<string, SelectionSetNode>) {
    this.#fragments = fragments;
  }

  /** @throws GraphQLError if fragments spread too many selections, for example in a cycle */
  extentOf(root: SelectionSetNode) {
    const places: Places = new Map();
    const extent = { selections: 0, depth: 0, comparisons: 0, differences: 0 };
    const open = [{ set: root, places, depth: 0 }];
    for (let at = open.pop(); at; at = open.pop()) {
      extent.selections += at.set.selections.length;
      checkLimit('maxRecursiveSelections', extent.selections);
      for (const selection of at.set.selections) {
        if (selection.kind === Kind.FIELD) {
          // Not counted: graphql-js has a separate depth rule for introspection.
          const depth = selection.name.value.startsWith('__') ? Number.NEGATIVE_INFINITY : at.depth + 1;
          extent.depth = Math.max(extent.depth, depth);
          const { below } = this.#put(selection, at.places, extent);
          if (selection.selectionSet) open.push({ set: selection.selectionSet, places: below, depth });
        } else {
          const isSpread = selection.kind === Kind.FRAGMENT_SPREAD;
          const set = isSpread ? this.#fragments.get(selection.name.value) : selection.selectionSet;
          if (set) open.push({ ...at, set });
        }
      }
    }
    return { ...extent, rootFields: places.size };
  }

  #put(node: FieldNode, places: Places, extent: { comparisons: number; differences: number }): Place {
    const name = (node.alias ?? node.name).value;
    const place = places.get(name) ?? { fields: 0, alike: new Map(), below: new Map() };
    places.set(name, place);
    const asked = this.#askedBy(node);
    const alike = place.alike.get(asked) ?? 0;
    extent.comparisons += place.fields * (node.selectionSet ? COST_OF_SUBSELECTIONS : 1);
    extent.differences += place.fields - alike;
    place.alike.set(asked, alike + 1);
    place.fields++;
    return place;
  }

  #askedBy(node: FieldNode): string {
    if (!node.arguments?.length) return node.name.value;
    const asked = this.#asked.get(node) ?? `${node.name.value}(${node.arguments.map(print).sort().join()})`;
    this.#asked.set(node, asked);
    return asked;
  }
}

/** For each limit: the subject, the unit, and what to do. */
const LIMIT_TEXTS = {
  maxDocumentBytes: ['The document', 'bytes', 'Put data into variables.'],
  maxTokens: ['The document', 'tokens', 'Comments count too. Put data into variables, or select less.'],
  maxNesting: ['The document', 'levels of brackets', 'Put nested data into variables.'],
  maxLines: ['The document', 'lines', 'Put data into variables, and remove empty lines.'],
  maxOperations: ['The document', 'operations', 'Send only the operations that you run.'],
  maxFragments: ['The document', 'fragments', 'Send only the fragments that you spread.'],
  maxAliases: [
    'The document',
    'aliases',
    'Use fields that take lists, such as nodes(ids:) and predictMany, or send several operations.',
  ],
  maxDirectives: ['The document', 'directives', 'Put directives on fragments instead of on single fields.'],
  maxVariables: ['An operation', 'variables', 'Use input objects.'],
  maxRootFields: ['An operation', 'root fields', 'Send several operations; for many inputs, use predictMany.'],
  maxDepth: ['An operation', 'levels', 'Fetch deeper objects by id or name, in another operation.'],
  maxRecursiveSelections: [
    'An operation',
    'selections',
    'A fragment counts each time it is spread, and must not spread itself.',
  ],
  maxComparisons: ['An operation', 'comparisons between fields of the same name', 'Select each field once.'],
  maxDifferences: ['An operation', 'pairs of different fields with the same name', 'Give them different aliases.'],
} as const satisfies Partial<Record<keyof typeof LIMITS, readonly [subject: string, unit: string, advice: string]>>;

function checkLimit(limit: keyof typeof LIMIT_TEXTS, received: number): void {
  if (received > LIMITS[limit]) throw exceeded(limit, received);
}

function exceeded(limit: keyof typeof LIMIT_TEXTS, received: number, code = 'DOCUMENT_LIMIT_EXCEEDED'): GraphQLError {
  const [subject, unit, advice] = LIMIT_TEXTS[limit];
  const allowed = LIMITS[limit];
  const message = `${subject} has ${received} ${unit}; at most ${allowed} ${unit} are allowed (${limit}). ${advice}`;
  return new GraphQLError(message, { extensions: { code, limit, received, allowed } });
}
