/** A digest of this program, which changes with every update. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

let digest: Promise<string> | null = null;

/** Reads the compiled files once. */
export function programDigest(): Promise<string> {
  digest ??= readProgram(path.resolve(import.meta.dirname, '..'));
  return digest;
}

async function readProgram(folder: string): Promise<string> {
  const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('.js')).sort();
  const hash = createHash('sha256');
  for (const file of files) hash.update(file).update(await readFile(path.join(folder, file)));
  return hash.digest('hex');
}
