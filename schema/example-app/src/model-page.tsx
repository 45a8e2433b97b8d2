import { useQuery } from '@apollo/client/react';
import { words } from '../../form-fields.ts';
import { measured, plain } from './format';
import { ModelPageDocument } from './gql/graphql';
import { History } from './history';
import { Failure, Loading } from './notices';
import { PredictForm } from './predict-form';

export function ModelPage({ name }: { name: string }) {
  const { data, error, refetch } = useQuery(ModelPageDocument, { variables: { name } });
  if (error) return <Failure error={error} onRetry={() => refetch()} />;
  if (!data) return <Loading />;
  if (!data.model) return <h1>There is no model “{name}”.</h1>;

  const { title, summary, task, license, headline, card, version } = data.model;
  const about = { 'Intended use': card.intendedUse, Limitations: card.limitations };
  return (
    <>
      <title>{title}</title>
      <h1 tabIndex={-1} ref={(heading) => heading?.focus()}>
        {title}
      </h1>
      {summary && <p>{plain(summary)}</p>}
      <p>
        <small>{[words(task), measured(headline), license, version?.ref].filter(Boolean).join(', ')}</small>
      </p>
      {version?.signature ? (
        <PredictForm model={version.ref} signature={version.signature} />
      ) : (
        <p>No version of this model can run at the moment.</p>
      )}
      <History model={name} />
      {Object.entries(about).map(([heading, text]) => (
        <details key={heading}>
          <summary>{heading}</summary>
          <p className="text">{plain(text ?? 'Not stated.')}</p>
        </details>
      ))}
    </>
  );
}
