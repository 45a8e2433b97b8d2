/**
 * Publications: uploaded files become a version of a registered model, in the background and one after the other: accounts take turns. A publication
 * is recorded before it is acknowledged, and is begun again after a crash.
 */
import { rm } from 'node:fs/promises';
import { appendAudit } from '../access/audit.queries.js';
import { checkGrant } from '../access/grants.js';
import type { Principal } from '../access/principal.js';
import { checkReason } from '../access/reason.js';
import { findGatedAliases } from '../catalog/alias.queries.js';
import { findModelsByNames } from '../catalog/model.queries.js';
import { isAliasName } from '../catalog/ref.js';
import {
  ForbiddenError,
  type InputProblem,
  InvalidInputError,
  ManifestError,
  RetriedImportError,
  UploadLimitError,
} from '../errors.js';
import { ImportStoppedError } from '../importing/import-errors.js';
import { MAX_YAML_BYTES } from '../importing/store-file.js';
import { RecordedWork } from '../recorded-work.js';
import { newId } from '../storage/ids.js';
import type { PublicationTable, UploadTable } from '../storage/migrations/publishing.table.js';
import { withoutPaths } from '../without-paths.js';
import { MAX_FILES, pathProblems } from './paths.js';
import {
  countUnfinished,
  findModel,
  findNextPublication,
  forgetFinished,
  insertPublication,
  setPublication,
} from './publication.queries.js';
import { PUBLISH_WITHOUT, type PublisherParts, publishFolder } from './published-folder.js';
import { signerOfUploads } from './signed-uploads.js';
import { findUploads } from './upload.queries.js';

/** Publications that wait or are running. */
const MAX_OF_ACCOUNT = 10;
const MAX_OF_ALL = 200;
const MAX_KEPT = 1_000;
const MAX_ALIASES = 10;
/** One that ends the server, or whose processes are killed again and again, is refused. */
const MAX_ATTEMPTS = 3;

export interface WantedPublication {
  readonly model: string;
  readonly files: readonly { readonly path: string; readonly upload: string }[];
  readonly manifest?: Record<string, unknown> | null;
  readonly aliases?: readonly string[] | null;
  readonly reason?: string | null;
}

export class Publisher {
  readonly #parts: PublisherParts;
  readonly #work: RecordedWork<PublicationTable>;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    this.#work = new RecordedWork({
      findNext: (lastAccount) => findNextPublication(parts.db, lastAccount),
      run: (publication) => this.#run(publication),
      report: (error) => {
        if (parts.signal.aborted) return;
        parts.log.error({ err: error }, 'a publication could not go on; it is tried again');
      },
    });
  }

  /** Begins with what was recorded before, once the model store has been imported. */
  async start(): Promise<void> {
    await rm(this.#parts.folder, { recursive: true, force: true });
    this.#work.start();
  }

  stop(): Promise<void> {
    return this.#work.stop();
  }

  /** Records a publication. @throws InvalidInputError, NotFoundError, ForbiddenError, UploadLimitError, StorageFullError */
  async publish(wanted: WantedPublication, principal: Principal): Promise<PublicationTable> {
    const { db, catalog, publisherKeys, fileOf } = this.#parts;
    const { files, manifest } = wanted;
    checkWanted(wanted);
    const reason = checkReason(wanted.reason, ['input', 'reason']);
    const [model] = await findModelsByNames(db, principal, [wanted.model]);
    if (!model) throw await catalog.notFound(principal, `The model "${wanted.model.slice(0, 80)}"`, wanted.model);
    const isOwn = model.account === principal.id || principal.roles.includes('admin');
    if (!isOwn) throw new ForbiddenError(`Publishing "${model.name}"`, 'the account that owns the model');
    checkGrant(principal, model.name, model.name, 'Publishing');
    const uploads = await this.#uploadsOf(files, principal);
    const paths = files.map(({ path }) => path);
    const signedBy = await signerOfUploads(publisherKeys, { paths, uploads, hasManifest: manifest != null, fileOf });
    const now = Date.now();
    const publication: PublicationTable = {
      id: newId('Publication'),
      account: principal.id,
      key_id: principal.key?.id ?? null,
      issuer: principal.token?.issuer ?? null,
      subject: principal.token?.subject ?? null,
      model_id: model.id,
      files: JSON.stringify(files.map(({ path, upload }) => ({ path, upload }))),
      manifest: manifest == null ? null : JSON.stringify(manifest),
      aliases: JSON.stringify([...new Set(wanted.aliases)]),
      reason,
      signed_by: signedBy,
      stage: 'RECEIVED',
      refusal: null,
      version_id: null,
      attempts: 0,
      created_at: now,
      updated_at: now,
    };
    await db.transaction().execute(async (trx) => {
      if ((await findModel(trx, model.id))?.origin !== 'account') throw new InvalidInputError([ofStore(model.name)]);
      if (
        (await countUnfinished(trx, principal.id)) >= MAX_OF_ACCOUNT ||
        (await countUnfinished(trx, null)) >= MAX_OF_ALL
      )
        throw new UploadLimitError('Too many publications are waiting.');
      const gated = await findGatedAliases(trx, model.id, JSON.parse(publication.aliases));
      if (gated.length > 0) throw new InvalidInputError([behindGate(gated)]);
      await forgetFinished(trx, principal.id, MAX_KEPT);
      await insertPublication(trx, publication);
      const digests = paths.map((path, i) => [path, uploads[i]?.sha256]);
      const after = { publication: publication.id, files: digests, ...(signedBy !== null && { signedBy }) };
      await appendAudit(trx, principal, { action: 'publish', target: model.name, reason, before: null, after });
    });
    this.#work.goOn();
    return publication;
  }

  /** In the order of the files. @throws InvalidInputError */
  async #uploadsOf(files: WantedPublication['files'], principal: Principal): Promise<UploadTable[]> {
    const ids = [...new Set(files.map(({ upload }) => upload))];
    const known = new Map((await findUploads(this.#parts.db, principal, ids)).map((one) => [one.id, one]));
    const now = Date.now();
    const problems: InputProblem[] = [];
    const found: UploadTable[] = [];
    for (const [i, { upload: id }] of files.entries()) {
      const upload = known.get(id);
      if (upload && upload.completed_at !== null && upload.expires_at > now) found.push(upload);
      else problems.push(noUpload(i, id, upload));
    }
    if (problems.length > 0) throw new InvalidInputError(problems);
    return found;
  }

  async #run(publication: PublicationTable): Promise<void> {
    const { db, log, catalog } = this.#parts;
    const { id, attempts } = publication;
    if (attempts >= MAX_ATTEMPTS) {
      const refusal = `the server ended, or failed, ${MAX_ATTEMPTS} times while it was being published: publish it again`;
      await setPublication(db, id, { stage: 'REFUSED', refusal });
      return;
    }
    await setPublication(db, id, { stage: 'RECEIVED', attempts: attempts + 1 });
    try {
      await publishFolder(this.#parts, publication);
      log.info({ publication: id }, 'a version was published');
    } catch (error) {
      if (error instanceof ImportStoppedError || this.#parts.signal.aborted) await setPublication(db, id, { attempts });
      if (!(error instanceof ManifestError) || error instanceof RetriedImportError) throw error;
      await setPublication(db, id, { stage: 'REFUSED', refusal: withoutPaths(error.message) });
      log.info({ publication: id, reason: error.message }, 'a publication was refused');
    } finally {
      catalog.invalidate();
      await rm(this.#parts.folder, { recursive: true, force: true });
    }
  }
}

function checkWanted({ files, manifest, aliases }: WantedPublication): void {
  const problems: InputProblem[] = [];
  const add = (field: string, code: InputProblem['code'], message: string, expected: string, received: string) =>
    problems.push({ path: ['input', field], code, message, expected, received });
  if (files.length < 1 || files.length > MAX_FILES)
    add(
      'files',
      files.length === 0 ? 'EMPTY' : 'TOO_LARGE',
      'the number of files is not accepted',
      `1 to ${MAX_FILES} files`,
      `${files.length} files`,
    );
  else problems.push(...pathProblems(files.map(({ path }) => path)));
  const bytes = manifest ? Buffer.byteLength(JSON.stringify(manifest)) : 0;
  if (bytes > MAX_YAML_BYTES)
    add('manifest', 'TOO_LARGE', 'the manifest is too large', `at most ${MAX_YAML_BYTES} bytes`, `${bytes} bytes`);
  if (manifest && files.some(({ path }) => path.toLowerCase() === 'model.yaml'))
    add('manifest', 'WRONG_KIND', 'there is also a file model.yaml', 'one of them', 'both');
  if (aliases && (aliases.length > MAX_ALIASES || !aliases.every(isAliasName)))
    add(
      'aliases',
      'UNREADABLE',
      'these aliases are not accepted',
      `at most ${MAX_ALIASES} names that match [a-z][a-z0-9-]{0,31}`,
      JSON.stringify(aliases),
    );
  if (problems.length > 0) throw new InvalidInputError(problems.slice(0, MAX_PROBLEMS));
}

const MAX_PROBLEMS = 20;

function behindGate(aliases: readonly string[]): InputProblem {
  return {
    path: ['input', 'aliases'],
    code: 'WRONG_KIND',
    message: `an alias has a gate, which a new version cannot have passed: ${PUBLISH_WITHOUT}`,
    expected: 'aliases without gates',
    received: aliases.join(', '),
  };
}

function ofStore(model: string): InputProblem {
  return {
    path: ['input', 'model'],
    code: 'WRONG_KIND',
    message: 'its versions come from the model store of the server',
    expected: 'a model that was registered with `registerModel`',
    received: model,
  };
}

/** The same for an upload that does not exist and one of another account. */
function noUpload(i: number, id: string, upload: UploadTable | undefined): InputProblem {
  return {
    path: ['input', 'files', String(i), 'upload'],
    code: upload ? 'WRONG_KIND' : 'UNKNOWN_NAME',
    message: upload ? 'the upload is not complete, or has expired' : 'there is no such upload',
    expected: 'an upload of your account that `completeUpload` has accepted',
    received: id,
  };
}
