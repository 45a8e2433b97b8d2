import { useQuery } from '@apollo/client/react';
import { words } from '../../form-fields.ts';
import { go, Link, useAddress } from './address';
import { measured, plain } from './format';
import { type FacetField, type ModelFilter, ModelsDocument, type ModelsQuery } from './gql/graphql';
import { Button, Failure, Loading } from './notices';

const PAGE_SIZE = 6;
const CONDITIONS = {
  TASK: 'tasks',
  TAG: 'tags',
  FRAMEWORK: 'frameworks',
  LICENSE: 'licenses',
  OWNER: 'owners',
} as const satisfies Record<FacetField, keyof ModelFilter>;

type Models = ModelsQuery['models'];

/** The server checks what is in the address; an empty list is no condition. */
function filterOf(address: URLSearchParams): ModelFilter {
  return Object.fromEntries(Object.entries(CONDITIONS).map(([field, name]) => [name, address.getAll(field)]));
}

export function ModelList() {
  const address = useAddress();
  const search = address.get('search') ?? '';
  const variables = { search, filter: filterOf(address), first: PAGE_SIZE };
  const { data, previousData, loading, error, fetchMore, refetch } = useQuery(ModelsDocument, { variables });
  const models = (data ?? previousData)?.models;
  const { hasNextPage, endCursor } = models?.pageInfo ?? {};

  const onSearch = (text: string) => {
    address.set('search', text);
    go(address);
  };
  return (
    <>
      <title>Models</title>
      <h1>Models</h1>
      <search>
        <label>
          Search
          <input type="search" value={search} onChange={({ target }) => onSearch(target.value)} />
        </label>
      </search>
      {error && <Failure error={error} onRetry={() => refetch()} />}
      {!models && loading && <Loading />}
      {models && (
        <div className="columns">
          <Facets facets={models.facets} />
          <section aria-label="Results">
            <p role="status">{models.totalCount === 1 ? '1 model' : `${models.totalCount || 'No'} models`}</p>
            <Results models={models.nodes} />
            {hasNextPage && <Button onClick={() => fetchMore({ variables: { after: endCursor } })}>Show more</Button>}
            {models.totalCount === 0 && <Link to={{}}>Show all models</Link>}
          </section>
        </div>
      )}
    </>
  );
}

function Facets({ facets }: { facets: Models['facets'] }) {
  const address = useAddress();
  const toggle = (field: FacetField, value: string) => {
    if (address.has(field, value)) address.delete(field, value);
    else address.append(field, value);
    go(address);
  };
  // Checked by the address, which changes at once, and not by `selected` of an answer that is on its way.
  const used = facets.filter(({ buckets }) => buckets.length > 0);
  return (
    <section aria-label="Filters">
      {used.map(({ field, buckets }) => (
        <details key={field} open={field === 'TASK' || address.has(field)}>
          <summary>{words(field)}</summary>
          {buckets.map(({ value, label, count }) => (
            <label key={value}>
              <input type="checkbox" checked={address.has(field, value)} onChange={() => toggle(field, value)} />
              {label} ({count})
            </label>
          ))}
        </details>
      ))}
    </section>
  );
}

function Results({ models }: { models: Models['nodes'] }) {
  return models.map(({ id, name, title, summary, task, headline }) => (
    <article key={id}>
      <h2>
        <Link to={{ model: name }}>{title}</Link>
      </h2>
      {summary && <p>{plain(summary)}</p>}
      <small>{[words(task), measured(headline)].filter(Boolean).join(', ')}</small>
    </article>
  ));
}
