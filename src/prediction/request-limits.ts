/** Limits of a prediction request. */

import { MAX_ROWS } from '../tasks/bulk.js';

/** The largest number of inputs of one `predictMany`. */
export const MAX_INPUTS = MAX_ROWS;
export const MAX_DEADLINE_MS = 3_600_000;
export const MAX_KEY_CHARACTERS = 200;
export const MAX_SUBJECT_CHARACTERS = 200;
/** How long an idempotency key is remembered. */
export const KEY_LIFE_MS = 24 * 3_600_000;
/** Of an image that an input names instead of sending it. */
export const MAX_NAMED_IMAGE_BYTES = 16 * 1_048_576;
