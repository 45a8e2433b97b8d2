/**
 * The cache of Apollo Client 4 for this schema: `new InMemoryCache(cacheConfig())`.
 *
 * Pages of a list are kept apart, and read as one list: a component that selects a list without `after` gets all pages that
 * were fetched one after another with `fetchMore({ variables: { after: pageInfo.endCursor } })`, and one that gives `after`
 * gets this page. Components may select different fields of the same list, and different items per page.
 *
 * Objects without an id belong to what they were read from. In lists, they are matched by their position and their texts.
 * Select the `id` of objects that have one.
 */
import type {
  FieldFunctionOptions,
  FieldMergeFunction,
  FieldPolicy,
  FieldReadFunction,
  InMemoryCacheConfig,
  StoreObject,
  TypePolicy,
} from '@apollo/client';
import known from './apollo-cache.json' with { type: 'json' };

type Stored = { readonly [field: string]: unknown };

interface PageInfo {
  readonly startCursor?: string | null;
  readonly endCursor?: string | null;
  readonly hasPreviousPage?: boolean;
}

/** A page as it is in the cache; its lists have references to objects with an id. */
interface StoredPage extends Stored {
  readonly nodes?: readonly unknown[];
  readonly edges?: readonly Stored[];
  readonly pageInfo?: PageInfo;
}

type Helpers = Pick<FieldFunctionOptions, 'isReference' | 'readField' | 'mergeObjects'>;

export function cacheConfig(): InMemoryCacheConfig {
  const typePolicies: Record<string, TypePolicy> = { ...known.typePolicies };
  const add = (type: string, fields: readonly string[], policy: FieldPolicy) => {
    const own = Object.fromEntries(fields.map((field) => [field, policy]));
    typePolicies[type] = { ...typePolicies[type], fields: { ...typePolicies[type]?.fields, ...own } };
  };
  for (const [type, fields] of Object.entries(known.lists)) add(type, fields, { merge: mergeList });
  for (const [type, fields] of Object.entries(known.connections)) add(type, fields, { read: readPages });
  const pages = Object.keys(known.lists).filter((type) => type.endsWith('Connection'));
  for (const type of pages) typePolicies[type] = { ...typePolicies[type], merge: mergePage };
  // By `mergePage`, which knows whether both are of the same page.
  typePolicies['PageInfo'] = { merge: false };
  return { possibleTypes: known.possibleTypes, typePolicies };
}

const mergeList: FieldMergeFunction = (existing, incoming, helpers) => merged(existing, incoming, helpers);

/** What was stored and what has arrived, as one value; what has arrived alone, if they are not about the same objects. */
function merged(existing: unknown, incoming: unknown, helpers: Helpers): unknown {
  if (Array.isArray(existing) && Array.isArray(incoming)) {
    const isSameList =
      existing.length === incoming.length && incoming.every((item, i) => isSame(existing[i], item, helpers));
    return isSameList ? incoming.map((item, i) => merged(existing[i], item, helpers)) : incoming;
  }
  if (!isObject(existing) || !isObject(incoming) || !isSame(existing, incoming, helpers)) return incoming;
  if (helpers.isReference(existing) || helpers.isReference(incoming))
    return helpers.mergeObjects(existing as StoreObject, incoming as StoreObject) ?? incoming;
  const fields = Object.entries(incoming).map(([name, value]) => [name, merged(existing[name], value, helpers)]);
  return { ...existing, ...Object.fromEntries(fields) };
}

/**
 * Of a page that has other items now, nothing is kept: where the earlier one ended would join it with a page that does not follow.
 * Components that select what is missing fetch it again.
 */
const mergePage: FieldMergeFunction<StoredPage> = (existing, incoming, helpers) => {
  if (!existing || hasOtherItems(existing, incoming, helpers)) return incoming;
  const pageInfo = incoming.pageInfo && { ...existing.pageInfo, ...incoming.pageInfo };
  return { ...existing, ...incoming, ...definedIn({ pageInfo }) };
};

function hasOtherItems(existing: StoredPage, incoming: StoredPage, helpers: Helpers): boolean {
  const [before, after] = [itemsOf(existing), itemsOf(incoming)];
  if (!before || !after) return false;
  return before.length !== after.length || !after.every((item, i) => isSame(before[i], item, helpers));
}

function itemsOf({ nodes, edges }: StoredPage): readonly unknown[] | undefined {
  return nodes ?? (edges?.every((edge) => 'node' in edge) ? edges.map((edge) => edge['node']) : undefined);
}

/** Scalars such as JSON have no `__typename`, and are not merged. */
function isObject(value: unknown): value is Stored {
  return typeof value === 'object' && value !== null && ('__typename' in value || '__ref' in value);
}

/** Whether two objects may be the same: their types and the texts that both have are. */
function isSame(a: unknown, b: unknown, { isReference, readField }: Helpers): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return true;
  if (!isObject(a) || !isObject(b)) return a === b;
  if (isReference(a) && isReference(b)) return a.__ref === b.__ref;
  const [whole, part] = isReference(b) ? [b, a] : [a, b];
  const shared = Object.keys(part).filter(
    (name) => typeof part[name] === 'string' && readField(name, whole as never) !== undefined,
  );
  const isEqual = shared.every((name) => readField(name, whole as never) === part[name]);
  return isEqual && (!isReference(whole) || shared.some((name) => name !== '__typename'));
}

/** One page, or all pages from the first one on. */
const readPages: FieldReadFunction<StoredPage> = (existing, { args, field, fieldName, readField }) => {
  if (!existing || args?.['after'] != null) return existing;
  const wanted = listsIn(field);
  const pages = [existing];
  const cursors = new Set<string>();
  for (let cursor = endOf(existing); cursor != null && !cursors.has(cursor); ) {
    cursors.add(cursor);
    const next = readField<StoredPage>({ fieldName, args: { ...args, after: cursor } });
    if (!next || !wanted.every((list) => next[list])) break;
    pages.push(next);
    cursor = endOf(next);
  }
  return pages.length === 1 ? existing : joined(pages as [StoredPage, ...StoredPage[]]);
};

/** The lists that a component selects. */
function listsIn(field: Parameters<FieldReadFunction>[1]['field']): ('nodes' | 'edges')[] {
  const selections = field?.selectionSet?.selections ?? [];
  return (['nodes', 'edges'] as const).filter((list) =>
    selections.some((selection) => selection.kind === 'Field' && selection.name.value === list),
  );
}

function endOf({ pageInfo, edges }: StoredPage): string | null | undefined {
  return pageInfo?.endCursor ?? (edges?.at(-1)?.['cursor'] as string | undefined);
}

/** Counts of the whole list are those of the page that was fetched last. */
function joined(pages: readonly [StoredPage, ...StoredPage[]]): StoredPage {
  const [first] = pages;
  const last = pages.at(-1) as StoredPage;
  const { startCursor, hasPreviousPage } = first.pageInfo ?? {};
  const pageInfo = { ...last.pageInfo, ...definedIn({ startCursor, hasPreviousPage }) };
  const lists = { nodes: listOf(pages, 'nodes'), edges: listOf(pages, 'edges') };
  return { ...first, ...last, ...definedIn(lists), ...(last.pageInfo ? { pageInfo } : {}) } as StoredPage;
}

function listOf(pages: readonly StoredPage[], list: 'nodes' | 'edges'): unknown[] | undefined {
  return pages[0]?.[list] && pages.flatMap((page) => page[list] ?? []);
}

function definedIn(values: Stored): Stored {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
