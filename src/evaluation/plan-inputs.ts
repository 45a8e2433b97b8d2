/** Which input of a version a row of a dataset becomes. */
import type { InputKind, ModelInput, VersionSpec } from '../tasks/tasks.js';
import { type PlannedDataset, type Row, refused } from './planned-dataset.js';
import { UnfitRowError } from './true-values.js';

export interface Inputs {
  /** Names of the columns, for versions that read rows; null for others. */
  readonly columns: readonly string[] | null;
  /** Name of the column with the image, for versions that read images; null for others. */
  readonly image: string | null;
  /** `image`: the file, if the row names it by digest. @throws UnfitRowError */
  readonly inputOf: (row: Row, image: Uint8Array | null) => ModelInput;
}

type Columns = PlannedDataset['columns'];

/** `columns`: without the target. @throws InvalidInputError if the version reads something else */
export function inputsOf(spec: VersionSpec, columns: Columns): Inputs {
  const find = FINDERS[spec.inputKind];
  if (find) return find(spec, columns);
  const expected = 'a version that reads rows, texts, pairs of texts, questions, documents or images';
  throw refused('version', 'versions with this kind of input are not evaluated', expected, spec.inputKind);
}

type Find = (spec: VersionSpec, columns: Columns) => Inputs;

const FINDERS: Readonly<Partial<Record<InputKind, Find>>> = {
  ROW: rowsOf,
  TEXT: (_, columns) => {
    const name = onlyColumn(columns, { types: ['TEXT', 'CATEGORY'], usual: 'text' });
    return of((row) => ({ text: row[name] as string }));
  },
  IMAGE: (_, columns) => {
    const name = onlyColumn(columns, { types: ['IMAGE'], usual: 'image' });
    const inputOf: Inputs['inputOf'] = (row, bytes) => ({ image: bytes ? { bytes } : { base64: row[name] as string } });
    return { columns: null, image: name, inputOf };
  },
  QUESTION: (_, columns) => {
    checkColumns(columns, { question: TEXTS, context: TEXTS });
    return of((row) => ({
      question: {
        question: textIn(row, 'question'),
        context: textIn(row, 'context'),
        handleImpossibleAnswer: true,
      },
    }));
  },
  RANKING: (_, columns) => {
    checkColumns(columns, { query: TEXTS, documents: ['JSON'] });
    return of((row) => ({ ranking: { query: textIn(row, 'query'), documents: textsIn(row, 'documents') } }));
  },
  SIMILARITY: (_, columns) => {
    checkColumns(columns, { sentence1: TEXTS, sentence2: TEXTS });
    return of((row) => ({
      similarity: { source: textIn(row, 'sentence1'), sentences: [textIn(row, 'sentence2')] },
    }));
  },
};

const TEXTS = ['TEXT', 'CATEGORY'];

/** @throws UnfitRowError */
function textIn(row: Row, column: string): string {
  const value = row[column];
  if (typeof value === 'string') return value;
  throw new UnfitRowError(`the row has no text in the column "${column}"`);
}

/** @throws UnfitRowError */
function textsIn(row: Row, column: string): string[] {
  const value = row[column];
  if (Array.isArray(value) && value.every((text) => typeof text === 'string')) return value;
  throw new UnfitRowError(`the row has no list of texts in the column "${column}"`);
}

function of(inputOf: (row: Row) => ModelInput): Inputs {
  return { columns: null, image: null, inputOf };
}

function onlyColumn(columns: Columns, { types, usual }: { readonly types: readonly string[]; readonly usual: string }) {
  const fitting = columns.filter(({ type }) => types.includes(type));
  const column = fitting.find(({ name }) => name === usual) ?? (fitting.length === 1 ? fitting[0] : undefined);
  if (column) return column.name;
  throw refused(
    'dataset',
    'the dataset does not say which column the version reads',
    `one column of the type ${types[0]}, or one that is named "${usual}"`,
    columns.map(({ name }) => name).join(', '),
  );
}

/** By name, the types that each of these columns may have. */
function checkColumns(columns: Columns, wanted: Readonly<Record<string, readonly string[]>>): void {
  for (const [name, types] of Object.entries(wanted)) {
    const found = columns.find((column) => column.name === name);
    if (found && types.includes(found.type)) continue;
    const message = 'the dataset lacks a column that the version reads';
    throw refused('dataset', message, `a column "${name}" of the type ${types[0]}`, found?.type ?? 'no such column');
  }
}

const MAX_NAMES = 20;

function rowsOf(spec: VersionSpec, columns: Columns): Inputs {
  const known = new Set(columns.map(({ name }) => name));
  const missing = spec.columns.filter(({ name, required }) => required && !known.has(name)).map(({ name }) => name);
  const names = spec.columns.map(({ name }) => name).filter((name) => known.has(name));
  if (missing.length > 0 || names.length === 0)
    throw refused(
      'dataset',
      'the dataset lacks columns that the version reads',
      (missing.length > 0 ? missing : spec.columns.map(({ name }) => name)).slice(0, MAX_NAMES).join(', '),
      columns
        .slice(0, MAX_NAMES)
        .map(({ name }) => name)
        .join(', '),
    );
  const inputOf = (row: Row) => ({ row: Object.fromEntries(names.map((name) => [name, row[name] ?? null])) });
  return { columns: names, image: null, inputOf };
}
