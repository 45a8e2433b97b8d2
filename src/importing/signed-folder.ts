/** The signature of a folder of the model store, which covers the files of the model and of all its versions. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { ManifestError, RetriedImportError } from '../errors.js';
import type { PublisherKeys } from '../signing/publisher-keys.js';
import { SIGNATURE_FILE } from '../signing/signature-file.js';
import { entriesOf, fingerprintOf, MAX_ENTRIES } from './fingerprint.js';
import { fileDigest } from './store-file.js';

/**
 * Returns what says by whom the folder is signed, as `PublisherKeys.signerOf`: it reads all files when it is called first. The
 * files are those that are there now: each call throws RetriedImportError if they have changed since, so that what was read of
 * a version before the call is what was signed.
 */
export async function signerOfFolder(
  keys: PublisherKeys,
  folder: string,
  signal?: AbortSignal,
): Promise<() => Promise<string | null>> {
  if (!keys.hasAny) return async () => null;
  const before = await fingerprintOf(folder);
  const find = async () => {
    const paths = await pathsOf(folder);
    return keys.signerOf({
      paths,
      signatureFile: paths.has(SIGNATURE_FILE) ? path.join(folder, SIGNATURE_FILE) : null,
      digestOf: async (name) => {
        const file = path.join(folder, name);
        const found = await stat(file).catch(() => null);
        return found?.isFile() ? (await fileDigest(file, signal)).sha256 : null;
      },
    });
  };
  let found: Promise<string | null> | null = null;
  return async () => {
    found ??= find();
    const signedBy = await found;
    if ((await fingerprintOf(folder)) !== before) throw new RetriedImportError('its files were changed meanwhile');
    return signedBy;
  };
}

/** Without hidden files, which the import does not read. @throws ManifestError */
async function pathsOf(folder: string): Promise<ReadonlySet<string>> {
  const paths = new Set<string>();
  let entries = 0;
  for await (const { place, found } of entriesOf(folder)) {
    if (++entries >= MAX_ENTRIES) throw new ManifestError(`there are more than ${MAX_ENTRIES} files: remove some`);
    if (!found?.isDirectory()) paths.add(place);
  }
  return paths;
}
