import { useQuery } from '@apollo/client/react';
import { viewOf } from './answer';
import { HistoryDocument } from './gql/graphql';
import { Button, Failure, Loading } from './notices';
import { urlOfPicture } from './server';

const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export function History({ model }: { model: string }) {
  const variables = { model, first: 5 };
  const { data, error, fetchMore, refetch } = useQuery(HistoryDocument, {
    variables,
    fetchPolicy: 'cache-and-network',
  });
  const { nodes, pageInfo } = data?.predictions ?? {};
  return (
    <section aria-label="History">
      <h2>History</h2>
      {error ? <Failure error={error} onRetry={() => refetch()} /> : !nodes && <Loading />}
      {nodes?.length === 0 && <p>No predictions yet.</p>}
      <ul className="history">
        {nodes?.map(({ id, createdAt, inputPreview, picture, output }) => (
          <li key={id}>
            {picture && (
              <img className="thumbnail" alt="The input" src={urlOfPicture(picture.url)} onError={() => refetch()} />
            )}
            {!picture && <span className="preview">{inputPreview}</span>}
            <strong>{output ? viewOf(output).title : 'No longer there'}</strong>
            <time dateTime={createdAt}>{TIME.format(new Date(createdAt))}</time>
          </li>
        ))}
      </ul>
      {pageInfo?.hasNextPage && (
        <Button onClick={() => fetchMore({ variables: { after: pageInfo.endCursor } })}>Show older</Button>
      )}
    </section>
  );
}
