/** Rows of datasets as one request sees them: batched, and cached for that request only. */
import DataLoader from 'dataloader';
import type { Principal } from '../access/principal.js';
import type { Dataset } from '../catalog/dataset.type.js';
import type { CatalogContext } from '../catalog/loaders.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import { loaderFor } from '../storage/loaders.js';
import type { DatasetImageTable } from '../storage/migrations/catalog.table.js';
import type { Page, PageArgs } from '../storage/pages.js';
import { findImageColumns, findImages } from './dataset-images.queries.js';
import { findRowPages, findRowPlaces, lastRow, type RowPlace } from './dataset-rows.queries.js';

/** The part of the request context that resolvers of rows need. */
export interface DatasetContext extends CatalogContext {
  readonly datasetLoaders: DatasetLoaders;
}

/** All of them are in memory at once. */
const MAX_SPREAD_ROW_BYTES = 64 * 1024;

export class DatasetLoaders {
  readonly #db: CatalogDatabase;
  readonly #principal: Principal;
  readonly #blobs: Pick<BlobFolder, 'getPart'>;
  readonly #pages = new Map<string, DataLoader<string, Page<RowPlace>>>();

  constructor(db: CatalogDatabase, principal: Principal, blobs: Pick<BlobFolder, 'getPart'>) {
    this.#db = db;
    this.#principal = principal;
    this.#blobs = blobs;
  }

  /** Datasets with the same page arguments share a statement. */
  async rowsOf(datasetId: string, args: PageArgs): Promise<Page<RowPlace>> {
    // Before the datasets are batched: the cursor is wrong for all others.
    if (args.after != null) lastRow(datasetId, args.after);
    const load = async (ids: readonly string[]) => {
      const found = await findRowPages(this.#db, this.#principal, ids, args);
      return ids.map((id) => found.get(id) as Page<RowPlace>);
    };
    return loaderFor(this.#pages, [args.first, args.after], () => new DataLoader(load)).load(datasetId);
  }

  /** `count` rows that are evenly spread, or all if there are fewer; without very long ones. */
  async spread({ id, rowCount }: Pick<Dataset, 'id' | 'rowCount'>, count: number): Promise<Record<string, unknown>[]> {
    const size = Math.min(count, rowCount ?? 0);
    const numbers = Array.from({ length: size }, (_, i) => 1 + Math.floor(((i + 0.5) * (rowCount ?? 0)) / size));
    const places = await findRowPlaces(this.#db, this.#principal, id, numbers);
    const short = places.filter(({ length }) => length <= MAX_SPREAD_ROW_BYTES);
    return (await this.json.loadMany(short)).map((json) => {
      if (json instanceof Error) throw json;
      return JSON.parse(json);
    });
  }

  /** An image that rows of a dataset name by digest; null if there is none. */
  readonly image = new DataLoader<ImageOfDataset, DatasetImageTable | null, string>(
    async (wanted) => {
      const found = new Map<string, DatasetImageTable>();
      for (const [id, images] of Map.groupBy(wanted, (one) => one.id)) {
        const digests = images.map(({ digest }) => digest);
        for (const row of await findImages(this.#db, this.#principal, id, digests))
          found.set(`${id} ${row.image}`, row);
      }
      return wanted.map((one) => found.get(keyOfImage(one)) ?? null);
    },
    { cacheKeyFn: keyOfImage },
  );

  /** Names of the columns of images. */
  readonly imageColumns = new DataLoader<string, ReadonlySet<string>>(async (ids) => {
    const found = await findImageColumns(this.#db, this.#principal, ids);
    return ids.map((id) => new Set(found.get(id) ?? []));
  });

  /** The JSON of a row. Rows that are next to each other are one read. */
  readonly json = new DataLoader(
    async (places: readonly RowPlace[]) => {
      const read = new Map<string, string>();
      for (const run of runsOf(places)) await this.#readRun(run, read);
      return places.map((place) => read.get(keyOf(place)) as string);
    },
    { cacheKeyFn: keyOf },
  );

  async #readRun(run: readonly RowPlace[], read: Map<string, string>): Promise<void> {
    const [first, last] = [run[0] as RowPlace, run.at(-1) as RowPlace];
    const length = last.offset + last.length - first.offset;
    const bytes = await this.#blobs.getPart(first.sha256, first.offset, length);
    if (bytes.length < length) throw new Error(`the blob ${first.sha256} is shorter than its rows`);
    for (const place of run) {
      const at = place.offset - first.offset;
      read.set(keyOf(place), bytes.toString('utf8', at, at + place.length));
    }
  }
}

interface ImageOfDataset {
  /** Of the dataset. */
  readonly id: string;
  readonly digest: string;
}

function keyOfImage({ id, digest }: ImageOfDataset): string {
  return `${id} ${digest}`;
}

function keyOf({ sha256, offset }: RowPlace): string {
  return `${sha256}:${offset}`;
}

/** Consecutive rows of the same blob. */
function runsOf(places: readonly RowPlace[]): RowPlace[][] {
  const runs: RowPlace[][] = [];
  for (const place of [...places].sort((a, b) =>
    a.sha256 < b.sha256 ? -1 : a.sha256 > b.sha256 ? 1 : a.offset - b.offset,
  )) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    const isNext = last?.sha256 === place.sha256 && last.offset + last.length + 1 === place.offset;
    if (run && isNext) run.push(place);
    else runs.push([place]);
  }
  return runs;
}
