/**
 * Formats failures as GraphQL errors. A caller's mistake has a code that says what is wrong. Any other failure is
 * masked, with an `errorId` that is also in the log. Each is counted by its code.
 */
import { randomUUID } from 'node:crypto';
import { unwrapResolverError } from '@apollo/server/errors';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import type { Logger } from 'pino';
import { AppError, BadArgumentError, InvalidInputError, QuotaExceededError, UnreadableRecordError } from '../errors.js';
import { extensionsOf } from './quota-meter.js';
import { countRefusal } from './refusals.js';

export function errorFormatter(log: Logger) {
  const format = uncounted(log);
  return (formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError => {
    const sent = format(formatted, error);
    countRefusal(sent);
    return sent;
  };
}

function uncounted(log: Logger) {
  return (formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError => {
    const cause = unwrapResolverError(error);
    if (cause instanceof BadArgumentError) return withCode(formatted, 'BAD_USER_INPUT');
    if (cause instanceof InvalidInputError) {
      return withCode(formatted, 'BAD_USER_INPUT', { problems: cause.problems });
    }
    if (cause instanceof QuotaExceededError) return withCode(formatted, cause.code, extensionsOf(cause));
    if (cause instanceof AppError) {
      const { code, retryable, retryAfterMs } = cause;
      return withCode(formatted, code, retryable ? { retryable, retryAfterMs } : {});
    }
    if (cause instanceof UnreadableRecordError) return withCode(formatted, 'UNREADABLE_RECORD');
    if (isNullArgument(cause)) return withCode(formatted, 'BAD_USER_INPUT');
    if (isCallersMistake(formatted, cause)) return formatted;
    const errorId = randomUUID();
    log.error({ err: cause, errorId, path: formatted.path }, 'a request failed');
    const message = `The server failed to process this request. Give the operator this errorId: ${errorId}.`;
    return withCode({ ...formatted, message }, 'INTERNAL_SERVER_ERROR', { errorId });
  };
}

/** graphql-js, Apollo Server and this server's own rules set a code on every mistake in a document or variable. */
function isCallersMistake({ extensions }: GraphQLFormattedError, cause: unknown): boolean {
  const code = extensions?.['code'];
  return code !== 'INTERNAL_SERVER_ERROR' && (cause instanceof GraphQLError || code !== undefined);
}

/**
 * A variable with a default may be used where null is not allowed, and be sent as null: graphql-js finds that only when it
 * executes the field, and sets no code.
 */
function isNullArgument(cause: unknown): boolean {
  return cause instanceof GraphQLError && !cause.originalError && NULL_ARGUMENT.test(cause.message);
}

const NULL_ARGUMENT = /^Argument "\w+" of non-null type "[^"]+" must not be null\.$/;

function withCode(
  error: GraphQLFormattedError,
  code: string,
  more: Record<string, unknown> = {},
): GraphQLFormattedError {
  const { message, path, locations } = error;
  return { message, ...(locations && { locations }), ...(path && { path }), extensions: { code, ...more } };
}
