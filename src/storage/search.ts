/**
 * Full-text search over models: the one seam where the SQL dialects differ (FTS5 here).
 *
 * Names and titles weigh most, then tags, summary and card. The best 1,000 matches take part, by rank.
 */
import { type RawBuilder, sql, type Transaction } from 'kysely';
import type { CatalogTables } from './database.js';

export const MAX_HITS = 1_000;

export interface SearchableModel {
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

/** Rows `{ model_id, rank }`, rank from 1 for the best match; undefined when the text holds no word. */
export function searchHits(text: string): RawBuilder<{ model_id: string; rank: number }> | undefined {
  const query = matchExpression(text);
  if (!query) return undefined;
  return sql`(select model_id, row_number() over (order by score, model_id) as rank from (
    select model_id, bm25(model_fts, 0, 8, 6, 3, 4, 1) as score from model_fts
    where model_fts match ${query} order by score, model_id limit ${sql.lit(MAX_HITS)}))`;
}

/** Nobody types more to find a model, and each costs: a word that is asked a hundred times takes seconds. */
const MAX_WORDS = 16;

/** Every word must occur, the first sixteen different ones; the last may be just begun, as when somebody is typing. */
function matchExpression(text: string): string {
  const found = text.toWellFormed().match(/[\p{L}\p{N}][\p{L}\p{N}\p{M}]*/gu) ?? [];
  const words = [...new Set(found.map((word) => word.toLowerCase()))].slice(0, MAX_WORDS);
  return words.map((word, i) => `"${word}"${i === words.length - 1 ? '*' : ''}`).join(' ');
}
