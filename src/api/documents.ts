/**
 * A cache of the documents that clients have sent, with one entry per text: syntax tree, validation errors and cost plans.
 *
 * A document is parsed and validated when it is first seen. The cache is Apollo Server's document store, so Apollo
 * Server neither parses nor validates a cached valid document again. It validates documents that are not cached.
 */
import { createHash } from 'node:crypto';
import {
  type DocumentNode,
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
  getOperationAST,
  Kind,
  type OperationDefinitionNode,
  specifiedRules,
  type ValidationRule,
  validate,
} from 'graphql';
import { type CostPlan, planCost } from './cost-plan.js';
import { checkDocument } from './document-limits.js';
import { shortLiterals } from './short-strings.js';
import { passingVariables } from './variables.js';

/** Enough to correct a document. The time to report an error grows with the number of lines before it. */
export const MAX_VALIDATION_ERRORS = 10;

/** Without this rule, graphql-js detects the mistake only during execution, where it looks like a server failure. */
export const knownOperations: ValidationRule = (context) => ({
  OperationDefinition(node) {
    if (context.getSchema().getRootType(node.operation)) return;
    context.reportError(new GraphQLError(`The schema has no ${node.operation}s.`, { nodes: node }));
  },
});

export function validateDocument(schema: GraphQLSchema, document: DocumentNode): readonly GraphQLError[] {
  return validate(schema, document, [...specifiedRules, knownOperations, shortLiterals], {
    maxErrors: MAX_VALIDATION_ERRORS,
  });
}

interface KnownDocument {
  readonly text: string;
  readonly sha256: string;
  /** Null for an invalid document. */
  readonly document: DocumentNode | null;
  /** Empty for a valid document. */
  readonly errors: readonly GraphQLFormattedError[];
  /** By name; null where a request does not name the only operation. Names that do not exist are not kept. */
  readonly operations: Map<string | null, KnownOperation>;
  /** Estimated memory of this entry. */
  bytes: number;
  /** Larger for those that were used later. */
  usedAt: number;
}

/** An operation of a valid document, and the plan of its cost. */
export interface KnownOperation {
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  readonly plan: CostPlan;
  /** For `execute`, with variables that have been coerced. */
  readonly executable: DocumentNode;
}

export function planned(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): KnownOperation {
  const plan = planCost(schema, document, operation);
  return { document, operation, plan, executable: passingVariables(document, operation) };
}

interface DocumentBounds {
  readonly maxDocuments: number;
  readonly maxBytes: number;
}

const DEFAULT_BOUNDS: DocumentBounds = { maxDocuments: 500, maxBytes: 32 * 1024 * 1024 };
/** An upper bound: 250 to 490 bytes of heap were measured per token, including its node in the tree. */
const BYTES_PER_TOKEN = 500;
const BYTES_PER_PLANNED_FIELD = 500;

export class KnownDocuments {
  readonly #schema: GraphQLSchema;
  readonly #bounds: DocumentBounds;
  readonly #byText = new Map<string, KnownDocument>();
  readonly #bySha256 = new Map<string, KnownDocument>();
  #bytes = 0;
  #uses = 0;

  constructor(schema: GraphQLSchema, bounds: DocumentBounds = DEFAULT_BOUNDS) {
    this.#schema = schema;
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#byText.size;
  }

  /** The errors of a document; empty if it is valid. */
  errorsOf(text: string): readonly GraphQLFormattedError[] {
    const known = this.#byText.get(text);
    if (known) {
      known.usedAt = ++this.#uses;
      return known.errors;
    }
    try {
      return this.#add(text).errors;
    } catch (error) {
      if (error instanceof GraphQLError) return [error.toJSON()];
      throw error;
    }
  }

  /** The operation that a request names, planned once; null if the text is not cached, or the name fits none or several. */
  operationOf(text: string, name: string | null | undefined): KnownOperation | null {
    const known = this.#byText.get(text);
    if (!known?.document) return null;
    const found = known.operations.get(name ?? null);
    if (found) return found;
    const operation = getOperationAST(known.document, name);
    if (!operation) return null;
    const own = planned(this.#schema, known.document, operation);
    known.operations.set(name ?? null, own);
    this.#grow(known, own.plan.fields * BYTES_PER_PLANNED_FIELD);
    return own;
  }

  /** The names of the variables that the operations of a known document declare. */
  variablesOf(text: string): ReadonlySet<string> {
    const names = new Set<string>();
    for (const definition of this.#byText.get(text)?.document?.definitions ?? []) {
      if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
      for (const { variable } of definition.variableDefinitions ?? []) names.add(variable.name.value);
    }
    return names;
  }

  /** Called by Apollo Server, whose keys end in the SHA-256 of the text. Returns valid documents only. */
  async get(key: string): Promise<DocumentNode | undefined> {
    return this.#bySha256.get(key.slice(-SHA256_CHARACTERS))?.document ?? undefined;
  }

  /** Called by Apollo Server for a valid document that is not cached. Ignored: only `errorsOf` adds documents. */
  async set(): Promise<void> {}

  async delete(): Promise<boolean> {
    return false;
  }

  /** @throws GraphQLError if the text exceeds a limit or is not valid GraphQL; such a text is not cached */
  #add(text: string): KnownDocument {
    const { document, tokens } = checkDocument(text);
    const errors = validateDocument(this.#schema, document).map(formatted);
    const known: KnownDocument = {
      text,
      sha256: createHash('sha256').update(text).digest('hex'),
      document: errors.length === 0 ? document : null,
      errors,
      operations: new Map(),
      bytes: 0,
      usedAt: ++this.#uses,
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
    while (this.#byText.size > this.#bounds.maxDocuments || this.#bytes > this.#bounds.maxBytes) {
      const oldest = this.#leastRecentlyUsed(known);
      if (!oldest) return;
      this.#forget(oldest);
    }
  }

  /** Of all but this one. */
  #leastRecentlyUsed(kept: KnownDocument): KnownDocument | null {
    let oldest: KnownDocument | null = null;
    for (const known of this.#byText.values())
      if (known !== kept && known.usedAt < (oldest?.usedAt ?? Number.POSITIVE_INFINITY)) oldest = known;
    return oldest;
  }

  #forget({ text, sha256, bytes }: KnownDocument): void {
    this.#byText.delete(text);
    this.#bySha256.delete(sha256);
    this.#bytes -= bytes;
  }
}

const SHA256_CHARACTERS = 64;

function formatted(error: GraphQLError): GraphQLFormattedError {
  return { ...error.toJSON(), extensions: { code: 'GRAPHQL_VALIDATION_FAILED', ...error.extensions } };
}
