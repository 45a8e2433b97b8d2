/**
 * Compares the full-text indexes with the models. They keep no texts, so the same indexes are made again in a temporary file, and the
 * words of each model are compared by a sum of their hashes.
 */
import { DatabaseSync } from 'node:sqlite';
import type { CatalogTables } from '../storage/database.js';
import { indexAgain, SEARCH_INDEXES, searchedTexts, wordOfAccount } from '../storage/search.js';
import type { Snapshot } from '../storage/snapshot.js';
import type { Problem, Progress } from './problem.js';

interface ModelRow {
  readonly search_id: number;
  readonly name: string;
  readonly title: string;
  readonly summary: string | null;
  readonly card: string;
  readonly account: string | null;
  /** JSON. */
  readonly tags: string;
}

const COLUMNS = ['name', 'title', 'summary', 'tags', 'card', 'stems'] as const;
type Index = (typeof SEARCH_INDEXES)[number];
const INDEXED: Readonly<Record<Index, string>> = {
  model_fts: "visibility = 'public'",
  private_model_fts: "visibility = 'private'",
};

const MODELS = `select search_id, name, title, summary, card, account,
    (select json_group_array(tag) from model_tag where model_id = model.id) as tags
  from model where search_id is not null and json_valid(card) and json_type(card, '$.markdown') = 'text'`;

/** Without positions: the tags of a model have no order. */
type Word = [term: string, searchId: number, column: string];
const WORDS = 'select term, doc, col from temp.indexed_word';
const wordTable = (index: Index) =>
  `create virtual table temp.indexed_word using fts5vocab('main', '${index}', 'instance')`;

export function* wrongSearchIndex(catalog: Snapshot<CatalogTables>, progress: Progress): Generator<Problem> {
  for (const index of SEARCH_INDEXES) yield* wrongRowsOf(index, catalog, progress);
}

function* wrongRowsOf(index: Index, catalog: Snapshot<CatalogTables>, progress: Progress): Generator<Problem> {
  const names = new Map<number, string>();
  const expected = expectedSums(index, catalog, names, progress);
  catalog.exec(wordTable(index));
  const found = sumsOf(catalog.lists<Word>(WORDS), progress);
  catalog.exec('drop table temp.indexed_word');
  for (const searchId of new Set([...expected.keys(), ...found.keys()])) {
    if (expected.get(searchId) === found.get(searchId)) continue;
    const name = names.get(searchId);
    yield {
      code: 'SEARCH_INDEX_WRONG',
      where: name === undefined ? `search index, row ${searchId}` : `model ${name}`,
      message: name === undefined ? 'there is no such model' : 'the search index does not have the words of the model',
      repair: {
        does: name === undefined ? 'deletes the row' : 'indexes the model again',
        inCatalog: (trx) => indexAgain(trx, searchId),
      },
    };
  }
}

/** By the row id in the index: one number for each model. */
type Sums = Map<number, number>;

function expectedSums(
  index: Index,
  catalog: Snapshot<CatalogTables>,
  namesById: Map<number, string>,
  progress: Progress,
): Sums {
  // A file without a name, which SQLite deletes.
  const scratch = new DatabaseSync('');
  try {
    const [table] = catalog.rows<{ sql: string }>(`select sql from sqlite_schema where name = '${index}'`);
    scratch.exec(table?.sql ?? '');
    scratch.exec('begin');
    const columns = [...COLUMNS, ...(index === 'model_fts' ? [] : ['account'])];
    const insert = scratch.prepare(
      `insert into ${index} (rowid, ${columns.join(', ')}) values (?${', ?'.repeat(columns.length)})`,
    );
    for (const { search_id, tags, account, ...model } of catalog.rows<ModelRow>(`${MODELS} and ${INDEXED[index]}`)) {
      const texts = searchedTexts({ ...model, tags: JSON.parse(tags) });
      const own = index === 'model_fts' ? [] : [wordOfAccount(account)];
      insert.run(search_id, ...COLUMNS.map((column) => texts[column]), ...own);
      namesById.set(search_id, model.name);
      progress('models indexed for comparison', namesById.size);
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
