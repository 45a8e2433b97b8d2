/** The error for what the policy of a root field, or of introspection, does not let a caller do. */
import { GraphQLError } from 'graphql';
import { type PolicyName, whoMay } from '../access/policy.js';
import { isNobody, type Principal } from '../access/principal.js';
import { ForbiddenError } from '../errors.js';

/** `isWholeRequest`: nothing of the request is answered, so that its status says so. */
export function forbidden(
  name: string,
  policy: PolicyName,
  principal: Principal,
  isWholeRequest = false,
): GraphQLError {
  const isUnknown = isNobody(principal);
  const error = new ForbiddenError(name, whoMay(policy, principal));
  const message = isUnknown
    ? `${name} needs an API key or a token. Send it in the header "Authorization: Bearer …".`
    : error.message;
  const http = isWholeRequest ? { http: { status: isUnknown ? 401 : 403 } } : {};
  return new GraphQLError(message, { extensions: { code: isUnknown ? 'UNAUTHENTICATED' : error.code, ...http } });
}
