/** Why a change is made, as the audit log keeps it. */
import { InvalidInputError } from '../errors.js';

export const MAX_REASON_CHARACTERS = 500;
export const REASON = `Why the change is made, for the audit log, 1 to ${MAX_REASON_CHARACTERS} characters.`;

/** @throws InvalidInputError if it is empty or too long */
export function checkReason(reason: string | null | undefined, path: readonly string[]): string | null {
  if (reason == null) return null;
  const characters = reason.trim().length;
  if (characters >= 1 && reason.length <= MAX_REASON_CHARACTERS) return reason.toWellFormed();
  throw new InvalidInputError([
    {
      path,
      code: characters === 0 ? 'EMPTY' : 'TOO_LARGE',
      message: characters === 0 ? 'the reason is empty' : 'the reason is too long',
      expected: `1 to ${MAX_REASON_CHARACTERS} characters`,
      received: `${reason.length} characters`,
    },
  ]);
}
