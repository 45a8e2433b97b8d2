/** Accounts own models and predictions. They have a name and nothing else: a key or a `model.yaml` that names one suffices. */

const FORMAT = /^[a-z0-9][a-z0-9-]{0,63}$/;
/** Accounts that the server itself uses. */
const RESERVED = ['anonymous', 'nobody', 'system', 'command-line'];

/** What is accepted, for messages. */
export const ACCOUNT_NAME = `1 to 64 of a-z, 0-9 and "-", none of ${RESERVED.join(', ')}`;

export function isAccountName(text: string): boolean {
  return FORMAT.test(text) && !RESERVED.includes(text);
}
