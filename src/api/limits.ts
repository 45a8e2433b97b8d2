/**
 * What one request may ask for, in one table; the documentation repeats it and a test compares. The limits of a document
 * are enforced in `document-limits.ts`, its cost in `cost.ts`.
 */
import { MAX_BATCH } from '../prediction/check-request.js';
import { MAX_PAGE_SIZE } from '../storage/pages.js';
import { MAX_IMAGE_PIXELS } from '../tasks/image.js';

export const LIMITS = {
  maxBodyBytes: 16 * 1024 * 1024,
  maxDocumentBytes: 16 * 1024,
  /** Comments included. */
  maxTokens: 1_000,
  /** 1,000 tokens with one field per line take about 600 lines. Reporting an error takes time for each line above it. */
  maxLines: 600,
  /** Nested brackets of any kind, because the parser recurses. Introspection has 13. */
  maxNesting: 64,
  maxOperations: 20,
  maxFragments: 50,
  maxVariables: 50,
  maxRootFields: 20,
  /** The operations in `schema/`, introspection and code generators use none; a page that compares needs some. */
  maxAliases: 50,
  maxDirectives: 128,
  maxDepth: 10,
  /** With those of fragments, each time they are spread. Introspection with all its options needs 240. */
  maxRecursiveSelections: 300,
  /** Of fields of one name in one place, each with each: what the rule about merging them does. */
  maxComparisons: 10_000,
  /** Those among them that differ by field or arguments: an error about them names every one. */
  maxDifferences: 50,
  maxPageSize: MAX_PAGE_SIZE,
  maxBatch: MAX_BATCH,
  maxCost: 10_000,
  maxImagePixels: MAX_IMAGE_PIXELS,
} as const;
