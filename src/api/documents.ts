/**
 * The documents that clients have sent, one entry for each text: syntax tree, errors of validation, and prices.
 *
 * A text is parsed and validated when it is first seen. Apollo Server gets the tree of a valid one from here, as its
 * document store, and so neither parses nor validates it again. What is not known here, Apollo Server validates itself.
 */
import { createHash } from 'node:crypto';
import {
  type DocumentNode,
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
  specifiedRules,
  type ValidationRule,
  validate,
} from 'graphql';
import { checkDocument } from './document-limits.js';

/** Enough to correct a document. Reporting one takes time in proportion to the lines before its place. */
export const MAX_VALIDATION_ERRORS = 10;

/** graphql-js notices only during execution, and then it looks like a failure of the server. */
export const knownOperations: ValidationRule = (context) => ({
  OperationDefinition(node) {
    if (context.getSchema().getRootType(node.operation)) return;
    context.reportError(new GraphQLError(`The schema has no ${node.operation}s.`, { nodes: node }));
  },
});

export function validateDocument(schema: GraphQLSchema, document: DocumentNode): readonly GraphQLError[] {
  return validate(schema, document, [...specifiedRules, knownOperations], { maxErrors: MAX_VALIDATION_ERRORS });
}

interface KnownDocument {
  readonly text: string;
  readonly sha256: string;
  /** Null for an invalid document. */
  readonly document: DocumentNode | null;
  /** Empty for a valid document. */
  readonly errors: readonly GraphQLFormattedError[];
  /** By operation and the weights of its variables. */
  readonly prices: Map<string, number>;
  /** An estimate of the memory that it takes. */
  bytes: number;
}

export interface DocumentBounds {
  readonly maxDocuments: number;
  readonly maxBytes: number;
}

const DEFAULT_BOUNDS: DocumentBounds = { maxDocuments: 500, maxBytes: 32 * 1024 * 1024 };
/** Measured: 250 to 490 bytes of heap for a token and its node in the tree. */
const BYTES_PER_TOKEN = 500;
const BYTES_PER_PRICE = 100;
const MAX_PRICES_PER_DOCUMENT = 100;

export class KnownDocuments {
  readonly #schema: GraphQLSchema;
  readonly #bounds: DocumentBounds;
  /** The least recently used one first. */
  readonly #byText = new Map<string, KnownDocument>();
  readonly #bySha256 = new Map<string, KnownDocument>();
  #bytes = 0;

  constructor(schema: GraphQLSchema, bounds: DocumentBounds = DEFAULT_BOUNDS) {
    this.#schema = schema;
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#byText.size;
  }

  /** Why the text cannot be run: empty for a valid document. */
  errorsOf(text: string): readonly GraphQLFormattedError[] {
    const known = this.#byText.get(text);
    if (known) {
      this.#byText.delete(text);
      this.#byText.set(text, known);
      return known.errors;
    }
    try {
      return this.#add(text).errors;
    } catch (error) {
      if (error instanceof GraphQLError) return [error.toJSON()];
      throw error;
    }
  }

  /** The price under this key, computed when it is not known; null when it cannot be computed. */
  priceOf(text: string, key: string, compute: () => number | null): number | null {
    const known = this.#byText.get(text);
    const price = known?.prices.get(key) ?? null;
    if (price !== null) return price;
    const computed = compute();
    if (!known || computed === null || known.prices.size >= MAX_PRICES_PER_DOCUMENT) return computed;
    known.prices.set(key, computed);
    this.#grow(known, BYTES_PER_PRICE + key.length);
    return computed;
  }

  /** For Apollo Server, whose keys end in the SHA-256 of the text: only what was found valid. */
  async get(key: string): Promise<DocumentNode | undefined> {
    return this.#bySha256.get(key.slice(-SHA256_CHARACTERS))?.document ?? undefined;
  }

  /** Apollo Server found a document valid that is not known here: it did not come through `errorsOf`. */
  async set(): Promise<void> {}

  async delete(): Promise<boolean> {
    return false;
  }

  /** @throws GraphQLError when the text exceeds a limit or is not valid GraphQL; then nothing is kept */
  #add(text: string): KnownDocument {
    const { document, tokens } = checkDocument(text);
    const errors = validateDocument(this.#schema, document).map(formatted);
    const known: KnownDocument = {
      text,
      sha256: createHash('sha256').update(text).digest('hex'),
      document: errors.length === 0 ? document : null,
      errors,
      prices: new Map(),
      bytes: 0,
    };
    this.#byText.set(text, known);
    this.#bySha256.set(known.sha256, known);
    const kept = errors.length === 0 ? tokens * BYTES_PER_TOKEN : JSON.stringify(errors).length;
    this.#grow(known, text.length + kept);
    return known;
  }

  #grow(known: KnownDocument, bytes: number): void {
    known.bytes += bytes;
    this.#bytes += bytes;
    for (const oldest of this.#byText.values()) {
      if (this.#byText.size <= this.#bounds.maxDocuments && this.#bytes <= this.#bounds.maxBytes) return;
      if (oldest !== known) this.#forget(oldest);
    }
  }

  #forget({ text, sha256, bytes }: KnownDocument): void {
    this.#byText.delete(text);
    this.#bySha256.delete(sha256);
    this.#bytes -= bytes;
  }
}

const SHA256_CHARACTERS = 64;

function formatted(error: GraphQLError): GraphQLFormattedError {
  return { ...error.toJSON(), extensions: { ...error.extensions, code: 'GRAPHQL_VALIDATION_FAILED' } };
}
