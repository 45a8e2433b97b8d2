/**
 * Compares the full-text indexes with the models. They keep no texts, so the same indexes are made again in a temporary file, and the
 * words of each model are compared by a sum of their hashes.
 */
import { DatabaseSync } from 'node:sqlite';
import type { CatalogTables } from '../storage/database.js';
import { indexAgain, SEARCH_INDEXES, searchedTexts, wordOfAccount } from '../storage/search.js';
import type { Snapshot } from '../storage/snapshot.js';
import type { Problem, Progress } from './problem.js';

type Index = (typeof SEARCH_INDEXES)[number];

interface ModelRow {
  readonly search_id: number;
  readonly name: string;
  readonly title: string;
  readonly summary: string | null;
  readonly account: string | null;
  readonly card: string;
  /** JSON. */
  readonly tags: string;
}

const modelsOf = (index: Index) => `select search_id, name, title, summary, account, card,
    (select json_group_array(tag) from model_tag where model_id = model.id) as tags
  from model where search_id is not null and json_valid(card) and json_type(card, '$.markdown') = 'text'
    and (visibility = 'public') = ${index === 'model_fts' ? 1 : 0}`;

/** Without positions: the tags of a model have no order. */
type Word = [term: string, searchId: number, column: string];
const WORDS = 'select term, doc, col from temp.indexed_word';
const wordTable = (index: Index) =>
  `create virtual table temp.indexed_word using fts5vocab('main', '${index}', 'instance')`;

export function* wrongSearchIndex(catalog: Snapshot<CatalogTables>, progress: Progress): Generator<Problem> {
  for (const index of SEARCH_INDEXES) {
    const expected = expectedSums(catalog, index, progress);
    catalog.exec(wordTable(index));
    const found = sumsOf(catalog.lists<Word>(WORDS), progress);
    catalog.exec('drop table temp.indexed_word');
    for (const searchId of new Set([...expected.keys(), ...found.keys()]))
      if (expected.get(searchId) !== found.get(searchId))
        yield problemOf(catalog, index, searchId, expected.has(searchId));
  }
}

function problemOf(catalog: Snapshot<CatalogTables>, index: Index, searchId: number, belongs: boolean): Problem {
  const [model] = catalog.rows<{ name: string }>('select name from model where search_id = ?', searchId);
  const message = belongs
    ? `${index} does not have the words of the model`
    : `${index} has words of it, but should not`;
  return {
    code: 'SEARCH_INDEX_WRONG',
    where: model ? `model ${model.name}` : `row ${searchId} of ${index}`,
    message: model ? message : 'there is no such model',
    repair: {
      does: model ? 'indexes the model again' : 'deletes the row',
      inCatalog: (trx) => indexAgain(trx, searchId),
    },
  };
}

/** By the row id in the index: one number for each model. */
type Sums = Map<number, number>;

function expectedSums(catalog: Snapshot<CatalogTables>, index: Index, progress: Progress): Sums {
  // A file without a name, which SQLite deletes.
  const scratch = new DatabaseSync('');
  try {
    const [table] = catalog.rows<{ sql: string }>('select sql from sqlite_schema where name = ?', index);
    scratch.exec(table?.sql ?? '');
    scratch.exec('begin');
    let count = 0;
    for (const { search_id, account, tags, ...model } of catalog.rows<ModelRow>(modelsOf(index))) {
      const texts = { rowid: search_id, ...searchedTexts({ ...model, tags: JSON.parse(tags) }) };
      const row = index === 'model_fts' ? texts : { ...texts, account: wordOfAccount(account) };
      const columns = Object.keys(row);
      scratch
        .prepare(`insert into ${index} (${columns.join()}) values (${columns.map(() => '?').join()})`)
        .run(...Object.values(row));
      progress('models indexed for comparison', ++count);
    }
    scratch.exec('commit');
    scratch.exec(wordTable(index));
    const words = scratch.prepare(WORDS);
    words.setReturnArrays(true);
    return sumsOf(words.iterate() as unknown as Iterable<Word>, progress);
  } finally {
    scratch.close();
  }
}

const WORDS_A_STEP = 1_000;

function sumsOf(words: Iterable<Word>, progress: Progress): Sums {
  const sums: Sums = new Map();
  let count = 0;
  for (const [term, searchId, column] of words) {
    const sum = (sums.get(searchId) ?? 0) + hashOf(`${term} ${column}`);
    sums.set(searchId, sum % Number.MAX_SAFE_INTEGER);
    if (++count % WORDS_A_STEP === 0) progress('words of the search index compared', count);
  }
  return sums;
}

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = FNV_OFFSET;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
  return hash >>> 0;
}
