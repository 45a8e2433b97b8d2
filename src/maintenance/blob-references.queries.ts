/** Which blobs the rows of both databases refer to, in a temporary file: there may be too many for the memory. */
import { DatabaseSync } from 'node:sqlite';
import type { CatalogTables } from '../storage/database.js';
import type { Snapshot, Snapshots } from '../storage/snapshot.js';
import { readSpec, readVariants } from '../tasks/stored-spec.js';
import type { VersionSpec } from '../tasks/tasks.js';
import type { Problem } from './problem.js';

export interface BlobReference {
  readonly digest: string;
  /** What refers to it, such as "version spam-filter:1". */
  readonly place: string;
  /** Null for blobs of predictions, datasets and evaluations. */
  readonly version_id: string | null;
}

const DIGEST = /\b[0-9a-f]{64}\b/g;
const SHA256 = /^[0-9a-f]{64}$/;

export class BlobReferences {
  readonly #scratch = new DatabaseSync('');
  readonly #insert;
  readonly #find;

  constructor() {
    this.#scratch.exec(`create table reference (digest text primary key, place text, version_id text, is_certain integer)
      without rowid; begin`);
    // The same blob may be that of several versions; one of them is enough to name and to restore it.
    this.#insert = this.#scratch.prepare(`insert into reference values (?, ?, ?, ?)
      on conflict do update set is_certain = 1, place = excluded.place, version_id = excluded.version_id
        where excluded.is_certain > reference.is_certain`);
    this.#find = this.#scratch.prepare('select is_certain from reference where digest = ?');
  }

  get count(): number {
    return Number(this.#scratch.prepare('select count(*) as n from reference where is_certain').get()?.['n']);
  }

  /** Whether a row refers to the blob, or only mentions its digest. */
  has(digest: string): boolean {
    return this.#find.get(digest) !== undefined;
  }

  /** Whether a row refers to the blob. */
  isNeeded(digest: string): boolean {
    return this.#find.get(digest)?.['is_certain'] === 1;
  }

  /** In the order of digests. */
  all(): IterableIterator<BlobReference> {
    return this.#scratch
      .prepare('select digest, place, version_id from reference where is_certain order by digest')
      .iterate() as unknown as IterableIterator<BlobReference>;
  }

  /** Adds what the databases refer to. Yields rows that cannot be read. */
  *add({ catalog, predictions }: Pick<Snapshots, 'catalog' | 'predictions'>): Generator<Problem> {
    const used = predictions.rows<{ id: string; input_sha256: string }>(
      `select id, input_sha256 from prediction where input_sha256 is not null
        union select prediction_id, sha256 from picture where sha256 is not null`,
    );
    for (const { id, input_sha256 } of used) this.#need(input_sha256, `prediction ${id}`, null);
    const pieces = catalog.rows<{ name: string; sha256: string }>(
      `select name, piece.sha256 from (select dataset_id, sha256 from dataset_piece
        union all select dataset_id, sha256 from dataset_image) as piece join dataset on dataset.id = piece.dataset_id`,
    );
    for (const { name, sha256 } of pieces) this.#need(sha256, `dataset ${name}`, null);
    const answers = catalog.rows<{ evaluation_id: string; sha256: string }>(
      'select evaluation_id, sha256 from evaluation_piece',
    );
    for (const { evaluation_id, sha256 } of answers) this.#need(sha256, `evaluation ${evaluation_id}`, null);
    yield* this.#addVersions(catalog);
  }

  *#addVersions(catalog: Snapshot<CatalogTables>): Generator<Problem> {
    const versions =
      catalog.rows<VersionRow>(`select version.id, 'version ' || model.name || ':' || version.number as place,
        artifact_sha256, spec, variants from version join model on model.id = version.model_id`);
    for (const { id, place, artifact_sha256, spec, variants } of versions) {
      // A digest that is only mentioned keeps its blob, but nothing needs it. The server's own sweep does the same.
      for (const text of [artifact_sha256, spec, variants])
        for (const [digest] of text?.matchAll(DIGEST) ?? []) this.#insert.run(digest, place, id, 0);
      try {
        const digests = spec === null ? [] : [artifact_sha256, ...blobsOfSpec(readSpec(spec))];
        for (const variant of readVariants(variants))
          if (variant.spec) digests.push(variant.sha256, ...blobsOfSpec(variant.spec));
        for (const digest of digests) this.#need(digest ?? '', place, id);
      } catch (error) {
        const message = `its spec or its variants cannot be read: ${(error as Error).message}`;
        yield { code: 'ROW_INVALID', where: place, message, repair: null };
      }
    }
  }

  /** Other checks name what is no digest. */
  #need(digest: string, place: string, versionId: string | null): void {
    if (SHA256.test(digest)) this.#insert.run(digest, place, versionId, 1);
  }

  close(): void {
    this.#scratch.close();
  }
}

interface VersionRow {
  readonly id: string;
  readonly place: string;
  readonly artifact_sha256: string | null;
  readonly spec: string | null;
  readonly variants: string;
}

function blobsOfSpec({ text, dataFiles = [] }: VersionSpec): string[] {
  return [...(text ? [text.tokenizerSha256] : []), ...dataFiles.map(({ sha256 }) => sha256)];
}
