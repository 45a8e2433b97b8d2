/**
 * Full-text search over models, with SQLite's FTS5.
 *
 * Names and titles weigh most, then tags, summary and card. The index has each word as it is written, for prefixes, and in
 * the column `stems` the stem of each word that differs from it. It keeps no text; `model.search_id` is its row id.
 *
 * Private models have an index of their own, and no rank: a rank depends on how many models have a word, and would tell
 * accounts about the private models of others.
 */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { CatalogTables } from './database.js';
import { firstWordsOf, stem, textOfMarkdown, wordsOf } from './words.js';

/** Of public and of private models. */
export const SEARCH_INDEXES = ['model_fts', 'private_model_fts'] as const;

/** A search looks at this many matches at most, and ranks them. */
export const MAX_HITS = 10_000;

interface SearchableModel {
  readonly id: string;
  readonly name: string;
  readonly title: string;
  readonly summary: string | null;
  readonly tags: readonly string[];
  /** JSON of ModelCard. */
  readonly card: string;
}

/** Indexes a model that is stored, or replaces what was indexed of it. Runs in the transaction it is given. */
export async function indexForSearch(trx: Kysely<CatalogTables>, model: SearchableModel): Promise<void> {
  const { id } = model;
  const found = await trx
    .selectFrom('model')
    .select(['search_id', 'visibility', 'account'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  const rowid = found.search_id ?? (await nextSearchId(trx));
  if (found.search_id === null) await trx.updateTable('model').set({ search_id: rowid }).where('id', '=', id).execute();
  await removeFromIndexes(trx, rowid);
  const texts = { rowid, ...searchedTexts(model) };
  if (found.visibility === 'public') await trx.insertInto('model_fts').values(texts).execute();
  else
    await trx
      .insertInto('private_model_fts')
      .values({ ...texts, account: wordOfAccount(found.account) })
      .execute();
}

async function removeFromIndexes(trx: Kysely<CatalogTables>, searchId: number): Promise<void> {
  for (const index of SEARCH_INDEXES) await trx.deleteFrom(index).where('rowid', '=', searchId).execute();
}

/** What the index of private models has of an account: one word, whatever characters the account has. */
export function wordOfAccount(account: string | null): string {
  return `account${Buffer.from(account ?? '').toString('hex')}`;
}

/** What the index has of a model, by column. */
export function searchedTexts({ name, title, summary, tags, card }: Omit<SearchableModel, 'id'>) {
  const { markdown } = JSON.parse(card) as { markdown: string };
  const text = { name, title, summary: summary ?? '', tags: tags.join(' '), card: textOfMarkdown(markdown) };
  return { ...text, stems: stemsOf(Object.values(text).join(' ')) };
}

async function nextSearchId(trx: Kysely<CatalogTables>): Promise<number> {
  const { last } = await trx
    .selectFrom('model')
    .select((eb) => eb.fn.max('search_id').as('last'))
    .executeTakeFirstOrThrow();
  return (last ?? 0) + 1;
}

function stemsOf(text: string): string {
  return wordsOf(text)
    .map((word) => ({ word, stem: stem(word) }))
    .filter((pair) => pair.stem !== pair.word)
    .map((pair) => pair.stem)
    .join(' ');
}

const MODELS_A_STEP = 200;

/** Indexes the models that are not indexed yet: those of a data folder from before `007_search`. */
export async function indexMissing(db: Kysely<CatalogTables>): Promise<number> {
  let count = 0;
  for (;;) {
    const step = await db.transaction().execute(async (trx) => {
      const models = await trx
        .selectFrom('model')
        .select(['id', 'name', 'title', 'summary', 'card'])
        .where('search_id', 'is', null)
        .limit(MODELS_A_STEP)
        .execute();
      for (const model of models) await indexStored(trx, model);
      return models.length;
    });
    count += step;
    if (step < MODELS_A_STEP) return count;
  }
}

type StoredModel = Omit<SearchableModel, 'tags'>;

async function indexStored(trx: Kysely<CatalogTables>, model: StoredModel): Promise<void> {
  const tags = await trx.selectFrom('model_tag').select('tag').where('model_id', '=', model.id).execute();
  await indexForSearch(trx, { ...model, tags: tags.map(({ tag }) => tag) });
}

/** Indexes the model with this row id again; removes the row if there is no such model. */
export async function indexAgain(trx: Kysely<CatalogTables>, searchId: number): Promise<void> {
  await removeFromIndexes(trx, searchId);
  const models = await trx
    .selectFrom('model')
    .select(['id', 'name', 'title', 'summary', 'card'])
    .where('search_id', '=', searchId)
    .execute();
  for (const model of models) await indexStored(trx, model);
}

/** Below every rank. */
const SCORE_OF_PRIVATE = -1_000_000;

/**
 * Rows `{ search_id, score }` of public models, and of the private ones of an account, or of all if it is null; the best with
 * the lowest score, private ones first. Undefined if the text contains no word.
 */
export function searchHits(
  text: string,
  account: string | null,
): RawBuilder<{ search_id: number; score: number }> | undefined {
  const query = matchExpression(text);
  if (!query) return undefined;
  const limit = sql.lit(MAX_HITS);
  return sql`(select * from (select rowid as search_id, bm25(model_fts, 8, 6, 3, 4, 1, 1) as score from model_fts
      where model_fts match ${query} limit ${limit})
    union all select * from (select rowid as search_id, ${sql.lit(SCORE_OF_PRIVATE)} as score from private_model_fts
      where private_model_fts match ${ofAccount(query, account)} limit ${limit}))`;
}

/** Whether more than `MAX_HITS` public models match, or private ones of the account. */
export function hasTooManyMatches(text: string, account: string | null): RawBuilder<0 | 1> {
  const query = matchExpression(text);
  if (!query) return sql`0`;
  const beyond = sql`limit 1 offset ${sql.lit(MAX_HITS)}`;
  return sql`(exists (select 1 from model_fts where model_fts match ${query} ${beyond})
    or exists (select 1 from private_model_fts where private_model_fts match ${ofAccount(query, account)} ${beyond}))`;
}

function ofAccount(query: string, account: string | null): string {
  return account === null ? query : `{account} : "${wordOfAccount(account)}" AND (${query})`;
}

/** Limited, because each word takes time: a query with one word repeated 100 times takes seconds. */
export const MAX_WORDS = 16;
/** A shorter prefix would match most words. */
export const MIN_PREFIX_LETTERS = 2;

/** Whether a search for the text selects any models; without words it is no search. */
export function hasWords(text: string): boolean {
  return matchExpression(text) !== '';
}

/** All of the first 16 distinct words must occur. The last one may be a prefix, for search while typing. */
function matchExpression(text: string): string {
  const words = firstWordsOf(text, MAX_WORDS);
  return words.map((word, i) => wordExpression(word, i === words.length - 1)).join(' AND ');
}

function wordExpression(word: string, isLast: boolean): string {
  const isPrefix = isLast && word.length >= MIN_PREFIX_LETTERS;
  const whole = isPrefix ? [stem(word)] : [...new Set([word, stem(word)])];
  const forms = whole.map((form) => `"${form}"`);
  if (isPrefix) forms.push(`{name title summary tags card} : "${word}" *`);
  return `(${forms.join(' OR ')})`;
}
