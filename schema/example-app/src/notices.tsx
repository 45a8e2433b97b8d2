import { CombinedGraphQLErrors } from '@apollo/client';
import type { ComponentProps } from 'react';
import { Link } from './address';
import type { AnyProblemFragment } from './gql/graphql';

export const Loading = () => <p aria-busy="true">Loading…</p>;

export const Button = (props: ComponentProps<'button'>) => <button type="button" {...props} />;

/** What the server did not answer, or answered with a GraphQL error. */
export function Failure({ error, onRetry }: { error: Error; onRetry?: () => void }) {
  const message = CombinedGraphQLErrors.is(error) ? error.message : 'The server cannot be reached. Is it running?';
  return (
    <p role="alert" className="wrong">
      {message} {onRetry && <Button onClick={onRetry}>Try again</Button>}
    </p>
  );
}

/** A problem of a payload that no field of a form shows. */
export function ProblemNotice({ problem }: { problem: AnyProblemFragment }) {
  const names = problem.__typename === 'NotFound' ? problem.didYouMean : [];
  const wait = problem.retryAfterMs ? `in ${Math.ceil(problem.retryAfterMs / 1_000)} s` : '';
  return (
    <p role="alert" className="wrong">
      {problem.message} {problem.retryable && `Try again ${wait}`}
      {names.map((name) => (
        <Link key={name} to={{ model: name }}>
          {name}
        </Link>
      ))}
    </p>
  );
}
