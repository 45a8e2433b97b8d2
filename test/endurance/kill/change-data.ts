/**
 * Changes keys and aliases of a data folder without end, as the server does, and writes a line for each change that was
 * acknowledged. `node test/endurance/kill/change-data.ts <data folder> <seed>`
 */
import 'reflect-metadata';
import { ApiKeys } from '#src/access/api-keys.js';
import { COMMAND_LINE } from '#src/access/principal.js';
import { Catalog } from '#src/catalog/catalog.js';
import { CatalogLoaders } from '#src/catalog/loaders.js';
import { openDatabases } from '#src/storage/database.js';
import { below, pick, seeded } from '../../support/seeded-random.ts';

const [dataDir = '', seed = '1'] = process.argv.slice(2);
const random = seeded(Number(seed));
const { catalogDb: db } = await openDatabases(dataDir);
const keys = new ApiKeys(db);
await keys.load();
const catalog = new Catalog(db, async () => null);
const OVERLAP_MS = 1_000;
const NEW_KEY = { account: 'team', name: 'ci', kind: 'secret', roles: ['predictor'], expiresAt: null } as const;

/** Each returns how many entries of the audit log it must have added. To add an operation, add a line. */
const CHANGES: Readonly<Record<string, (reason: string) => Promise<number>>> = {
  createApiKey: async (reason) => {
    await keys.create(
      { ...NEW_KEY, operations: null, models: null, origins: null, limits: null },
      { principal: COMMAND_LINE, reason },
    );
    return 1;
  },
  rotateApiKey: async (reason) =>
    (await keys.rotate(someKey(), { overlapMs: OVERLAP_MS, limits: null }, { principal: COMMAND_LINE, reason })) ===
    null
      ? 0
      : 2,
  revokeApiKey: async (reason) =>
    (await keys.revoke(someKey(), { principal: COMMAND_LINE, reason })) === null ? 0 : 1,
  setAlias: async (reason) => {
    const model = `m00${below(random, 3)}`;
    const name = pick(random, ['champion', 'candidate', 'previous']);
    const loaders = () => ({ principal: COMMAND_LINE, catalogLoaders: new CatalogLoaders(db, db, COMMAND_LINE) });
    const { id } = (await loaders().catalogLoaders.modelByName.load(model)) as { id: string };
    const now = (await loaders().catalogLoaders.aliasesOfModel.load(id)).find((alias) => alias.name === name);
    const version = `${model}:${1 + below(random, 5)}`;
    const after = await catalog.setAlias(loaders(), { model, alias: name, version, reason }, async () => {});
    return now?.versionId === after.versionId ? 0 : 1;
  },
};

/** A key that has neither ended nor been replaced; none if there is none. */
function someKey(): string {
  const live = keys.all.filter((key) => key.revokedAt === null && key.expiresAt === null && key.replacedBy === null);
  return live.length === 0 ? 'none' : pick(random, live).id;
}

for (let i = 0; ; i++) {
  const reason = `${seed}-${i}`;
  const change = pick(random, Object.keys(CHANGES));
  const entries = await CHANGES[change]?.(reason);
  process.stdout.write(`${JSON.stringify({ reason, change, entries })}\n`);
}
