/**
 * Full-text search over models, with SQLite's FTS5.
 *
 * Names and titles weigh most, then tags, summary and card. Only the best 1,000 matches are used, by rank.
 */
import { type RawBuilder, sql, type Transaction } from 'kysely';
import type { CatalogTables } from './database.js';

export const MAX_HITS = 1_000;

interface SearchableModel {
  readonly id: string;
  readonly name: string;
  readonly title: string;
  readonly summary: string | null;
  readonly tags: readonly string[];
  readonly card: string;
}

export async function indexForSearch(trx: Transaction<CatalogTables>, model: SearchableModel): Promise<void> {
  const { id, name, title, summary, tags, card } = model;
  await trx.deleteFrom('model_fts').where('model_id', '=', id).execute();
  await trx
    .insertInto('model_fts')
    .values({ model_id: id, name, title, summary: summary ?? '', tags: tags.join(' '), card })
    .execute();
}

/** Rows `{ model_id, rank }`, with rank 1 for the best match; undefined if the text contains no word. */
export function searchHits(text: string): RawBuilder<{ model_id: string; rank: number }> | undefined {
  const query = matchExpression(text);
  if (!query) return undefined;
  return sql`(select model_id, row_number() over (order by score, model_id) as rank from (
    select model_id, bm25(model_fts, 0, 8, 6, 3, 4, 1) as score from model_fts
    where model_fts match ${query} order by score, model_id limit ${sql.lit(MAX_HITS)}))`;
}

/** Limited, because each word takes time: a query with one word repeated 100 times takes seconds. */
export const MAX_WORDS = 16;

/** All of the first 16 distinct words must occur. The last one may be a prefix, for search while typing. */
function matchExpression(text: string): string {
  const found = text.toWellFormed().match(/[\p{L}\p{N}][\p{L}\p{N}\p{M}]*/gu) ?? [];
  const words = [...new Set(found.map((word) => word.toLowerCase()))].slice(0, MAX_WORDS);
  return words.map((word, i) => `"${word}"${i === words.length - 1 ? '*' : ''}`).join(' ');
}
