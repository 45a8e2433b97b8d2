/**
 * Full-text search over models, with SQLite's FTS5.
 *
 * Names and titles weigh most, then tags, summary and card. The index has each word as it is written, for prefixes, and in
 * the column `stems` the stem of each word that differs from it. It keeps no text; `model.search_id` is its row id.
 */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { CatalogTables } from './database.js';
import { firstWordsOf, stem, textOfMarkdown, wordsOf } from './words.js';

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
  const { search_id: known } = await trx
    .selectFrom('model')
    .select('search_id')
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  const rowid = known ?? (await nextSearchId(trx));
  if (known === null) await trx.updateTable('model').set({ search_id: rowid }).where('id', '=', id).execute();
  else await trx.deleteFrom('model_fts').where('rowid', '=', rowid).execute();
  await trx
    .insertInto('model_fts')
    .values({ rowid, ...searchedTexts(model) })
    .execute();
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
  await trx.deleteFrom('model_fts').where('rowid', '=', searchId).execute();
  const models = await trx
    .selectFrom('model')
    .select(['id', 'name', 'title', 'summary', 'card'])
    .where('search_id', '=', searchId)
    .execute();
  for (const model of models) await indexStored(trx, model);
}

/** Rows `{ search_id, score }`, the best with the lowest score; undefined if the text contains no word. */
export function searchHits(text: string): RawBuilder<{ search_id: number; score: number }> | undefined {
  const query = matchExpression(text);
  if (!query) return undefined;
  return sql`(select rowid as search_id, bm25(model_fts, 8, 6, 3, 4, 1, 1) as score from model_fts
    where model_fts match ${query} limit ${sql.lit(MAX_HITS)})`;
}

/** How many models match, counted up to `MAX_HITS + 1`; 0 if the text contains no word. */
export function countMatches(text: string): RawBuilder<number> {
  const query = matchExpression(text);
  if (!query) return sql`0`;
  return sql`(select cast(count(*) as integer) from
    (select 1 from model_fts where model_fts match ${query} limit ${sql.lit(MAX_HITS + 1)}) as matched)`;
}

/** Limited, because each word takes time: a query with one word repeated 100 times takes seconds. */
export const MAX_WORDS = 16;
/** A shorter prefix would match most words. */
export const MIN_PREFIX_LETTERS = 2;

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
