/**
 * What a document may be, before anything of it is validated or run.
 *
 * Every route that takes a document calls `checkDocument` first. It counts bytes, tokens and brackets, so that the
 * parser cannot run out of stack; it parses; then it counts what the tree holds, so that the standard rules, some of
 * which take the square of what they are given, are only ever given little. It knows no schema, and never recurses.
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

/** @throws GraphQLError with a code, for a document that is too large, cannot be read, or holds too much */
export function checkDocument(text: string): { document: DocumentNode; tokens: number } {
  const tokens = checkDocumentText(text);
  const document = read(() => parse(text, { maxLexicalTokens: LIMITS.maxTokens }));
  checkTree(document);
  return { document, tokens };
}

/** A RangeError too is about the text: should the stack have been short already, it is nested too deep for it. */
function read<T>(reading: () => T): T {
  try {
    return reading();
  } catch (error) {
    if (!(error instanceof GraphQLError || error instanceof RangeError)) throw error;
    const { message, source = null, positions = null } = error as GraphQLError;
    throw new GraphQLError(message, { source, positions, extensions: { code: 'GRAPHQL_PARSE_FAILED' } });
  }
}

/** Answers how many tokens the text has. */
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

/** graphql-js itself counts no comments; here they are tokens. */
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

/** Counts what the tree holds. @throws GraphQLError with a code, when that is too much */
export function checkTree(document: DocumentNode): void {
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
  // A fragment does not know how deep it is spread, nor whether that is introspection.
  if (node.kind !== Kind.OPERATION_DEFINITION) return;
  checkLimit('maxRootFields', rootFields);
  checkLimit('maxDepth', depth);
}

/** All fields of one response name in one place: the standard rules compare each with each. */
interface Place {
  fields: number;
  /** How many of them ask for the same, by name and arguments. */
  readonly alike: Map<string, number>;
  readonly below: Places;
}

type Places = Map<string, Place>;

/** What it takes to compare fields that have selections of their own, in comparisons of fields that have none. */
const COST_OF_SUBSELECTIONS = 5;

/** Selections merged as an answer merges them, fragments spread out: the limits keep that small. */
class Merge {
  readonly #fragments: ReadonlyMap<string, SelectionSetNode>;
  readonly #asked = new Map<FieldNode, string>();

  constructor(fragments: ReadonlyMap<string, SelectionSetNode>) {
    this.#fragments = fragments;
  }

  /** @throws GraphQLError when it spreads out too far: fragments of fragments, or in a circle */
  extentOf(root: SelectionSetNode) {
    const places: Places = new Map();
    const extent = { selections: 0, depth: 0, comparisons: 0, differences: 0 };
    const open = [{ set: root, places, depth: 0 }];
    for (let at = open.pop(); at; at = open.pop()) {
      extent.selections += at.set.selections.length;
      checkLimit('maxRecursiveSelections', extent.selections);
      for (const selection of at.set.selections) {
        if (selection.kind === Kind.FIELD) {
          // Introspection has a rule of its own for depth.
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

/** What has it, what each limit counts, and what to do about it. */
const LIMIT_TEXTS = {
  maxDocumentBytes: ['The document', 'bytes', 'Put data into variables.'],
  maxTokens: ['The document', 'tokens', 'Comments count too. Put data into variables, or ask for less.'],
  maxNesting: ['The document', 'levels of brackets', 'Put nested data into variables.'],
  maxLines: ['The document', 'lines', 'Put data into variables, and leave out empty lines.'],
  maxOperations: ['The document', 'operations', 'Send those that are to be run.'],
  maxFragments: ['The document', 'fragments', 'Send those that are spread.'],
  maxAliases: [
    'The document',
    'aliases',
    'Ask by lists, such as nodes(ids:) and predictMany, or send several operations.',
  ],
  maxDirectives: ['The document', 'directives', 'Put them on fragments instead of single fields.'],
  maxVariables: ['An operation', 'variables', 'Put them into input objects.'],
  maxRootFields: ['An operation', 'root fields', 'Send several operations, and inputs by predictMany.'],
  maxDepth: ['An operation', 'levels', 'Ask for what lies deeper by its id or name, in another operation.'],
  maxRecursiveSelections: [
    'An operation',
    'selections',
    'Fragments count each time they are spread, and must not spread themselves.',
  ],
  maxComparisons: ['An operation', 'comparisons of fields with one name in one place', 'Ask for a field once.'],
  maxDifferences: ['An operation', 'pairs of different fields under one name in one place', 'Give them aliases.'],
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
