/** Limits of a prediction request. */

/** The largest number of inputs of one `predictMany`. */
export const MAX_INPUTS = 1_000;
export const MAX_DEADLINE_MS = 3_600_000;
export const MAX_KEY_CHARACTERS = 200;
/** How long an idempotency key is remembered. */
export const KEY_LIFE_MS = 24 * 3_600_000;
