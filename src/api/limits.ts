/**
 * The limits of one request. `schema/README.md` repeats this table, and a test compares the two. The limits of a document
 * are enforced in `document-limits.ts`, the limit of its cost in `cost.ts`.
 */
import { MAX_INPUTS } from '../prediction/request-limits.js';
import { MAX_CURSOR_CHARACTERS, MAX_PAGE_SIZE } from '../storage/pages.js';
import { MAX_IMAGE_PIXELS } from '../tasks/image.js';

export const LIMITS = {
  maxBodyBytes: 16 * 1024 * 1024,
  /**
   * Values and keys. With 300,000, the costliest request, a row of unknown columns with an idempotency key, took 225 ms of
   * CPU time on the event loop in all.
   */
  maxBodyValues: 250_000,
  /** Nested lists and objects. A request with a tensor needs 8 and the dimensions of the tensor. */
  maxBodyDepth: 32,
  maxDocumentBytes: 16 * 1024,
  /** Lexical tokens, including comments. */
  maxTokens: 1_000,
  /** 1,000 tokens with one field per line take about 600 lines. Reporting an error takes time for each line above it. */
  maxLines: 600,
  /** Nested brackets of any kind, because the parser recurses. The introspection query needs 13. */
  maxNesting: 64,
  maxOperations: 20,
  maxFragments: 50,
  maxVariables: 50,
  maxRootFields: 20,
  /** The operations in `schema/`, introspection and code generators use none; a page that compares models needs some. */
  maxAliases: 50,
  maxDirectives: 128,
  maxDepth: 10,
  /** Selections, counting those of a fragment each time it is spread. The full introspection query needs 240. */
  maxRecursiveSelections: 300,
  /** Comparisons of fields with the same response name: the work of the validation rule that checks how they merge. */
  maxComparisons: 10_000,
  /** Compared pairs that differ in field or arguments. A validation error names every one of them. */
  maxDifferences: 50,
  /** Elements of one list in the variables. Twice `maxBatch`, so that the payload of a prediction reports a slightly longer list. */
  maxListLength: 2 * MAX_INPUTS,
  /** Elements of all lists in the variables, those inside JSON values excluded. */
  maxListElements: 50_000,
  /** Of a string that is not part of an input, in UTF-16 code units. Cursors are the longest that the server makes. */
  maxStringCharacters: MAX_CURSOR_CHARACTERS,
  maxPageSize: MAX_PAGE_SIZE,
  maxBatch: MAX_INPUTS,
  maxCost: 10_000,
  maxImagePixels: MAX_IMAGE_PIXELS,
} as const;
