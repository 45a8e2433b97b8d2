/** The signature among uploaded files, which is checked when they are published. */
import { type InputProblem, InvalidInputError, SignatureError } from '../errors.js';
import type { PublisherKeys } from '../signing/publisher-keys.js';
import { SIGNATURE_FILE } from '../signing/signature-file.js';
import type { UploadTable } from '../storage/migrations/publishing.table.js';

export interface UploadedFiles {
  readonly paths: readonly string[];
  /** In the order of the paths. */
  readonly uploads: readonly UploadTable[];
  /** Whether a manifest is sent beside the files. */
  readonly hasManifest: boolean;
  readonly fileOf: (upload: string) => string;
}

/** As `PublisherKeys.signerOf`. The digests of uploads were computed when they were complete. @throws InvalidInputError */
export async function signerOfUploads(
  keys: PublisherKeys,
  { paths, uploads, hasManifest, fileOf }: UploadedFiles,
): Promise<string | null> {
  const byPath = new Map(paths.map((path, i) => [path, uploads[i]]));
  const signature = byPath.get(SIGNATURE_FILE);
  try {
    const signedBy = await keys.signerOf({
      paths: new Set(paths),
      signatureFile: signature ? fileOf(signature.id) : null,
      digestOf: (path) => byPath.get(path)?.sha256 ?? null,
    });
    if (signedBy !== null && hasManifest) throw new InvalidInputError([UNSIGNED_MANIFEST]);
    return signedBy;
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error;
    throw new InvalidInputError(error.problems.map((problem) => ofInput(problem, paths)));
  }
}

const UNSIGNED_MANIFEST: InputProblem = {
  path: ['input', 'manifest'],
  code: 'WRONG_KIND',
  message: `${SIGNATURE_FILE} does not cover the manifest`,
  expected: 'a signed file model.yaml',
  received: 'a manifest beside the files',
};

/** At the file if it is among those that are published. */
function ofInput({ path: [file = ''], message, ...problem }: InputProblem, paths: readonly string[]): InputProblem {
  const i = paths.indexOf(file);
  const path = i < 0 ? ['input', 'files'] : ['input', 'files', String(i), 'path'];
  return { ...problem, path, message: `${file}: ${message}` };
}
