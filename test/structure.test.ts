/**
 * Checks who imports whom, and the length of functions. `src/README.md` has a diagram of the imports.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

/** The folders and single files of `src/`, and what each may import. A line names only entries above it. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'without-paths': [],
  'process-memory': [],
  errors: ['without-paths'],
  'wait-at-most': [],
  counting: ['errors'],
  loopback: [],
  'fair-share': [],
  'linked-list': [],
  'json-scan': [],
  'recorded-work': [],
  'compute-in-thread': [],
  production: [],
  statistics: [],
  plots: ['fair-share'],
  signing: ['errors', 'json-scan'],
  tasks: ['errors'],
  onnx: [],
  storage: ['errors', 'wait-at-most', 'counting', 'linked-list'],
  vault: ['errors', 'storage'],
  access: ['errors', 'loopback', 'counting', 'fair-share', 'storage'],
  graphql: ['errors', 'counting', 'storage', 'tasks'],
  engine: ['errors', 'wait-at-most', 'counting', 'fair-share', 'linked-list', 'process-memory', 'tasks'],
  config: ['errors', 'loopback', 'engine'],
  worker: ['process-memory', 'linked-list', 'engine', 'tasks', 'onnx'],
  catalog: ['errors', 'without-paths', 'access', 'graphql', 'storage', 'tasks'],
  datasets: ['errors', 'compute-in-thread', 'access', 'graphql', 'storage', 'tasks', 'catalog'],
  importing: [
    'errors',
    'without-paths',
    'json-scan',
    'signing',
    'access',
    'graphql',
    'storage',
    'tasks',
    'onnx',
    'catalog',
    'datasets',
    'engine',
  ],
  serving: ['errors', 'without-paths', 'wait-at-most', 'access', 'graphql', 'storage', 'tasks', 'catalog', 'engine'],
  prediction: [
    'errors',
    'fair-share',
    'linked-list',
    'vault',
    'access',
    'graphql',
    'storage',
    'tasks',
    'catalog',
    'datasets',
    'engine',
    'serving',
  ],
  maintenance: ['errors', 'access', 'storage', 'vault', 'tasks', 'catalog', 'importing', 'prediction'],
  publishing: [
    'errors',
    'without-paths',
    'fair-share',
    'recorded-work',
    'signing',
    'access',
    'graphql',
    'storage',
    'tasks',
    'catalog',
    'engine',
    'importing',
  ],
  evaluation: [
    'errors',
    'compute-in-thread',
    'fair-share',
    'recorded-work',
    'without-paths',
    'statistics',
    'plots',
    'access',
    'graphql',
    'storage',
    'tasks',
    'catalog',
    'datasets',
    'importing',
    'engine',
    'serving',
    'prediction',
  ],
  explanation: ['errors', 'statistics', 'plots', 'graphql', 'tasks', 'catalog', 'prediction', 'datasets', 'evaluation'],
  choosing: [
    'errors',
    'statistics',
    'plots',
    'access',
    'graphql',
    'storage',
    'tasks',
    'catalog',
    'engine',
    'serving',
    'evaluation',
  ],
  monitoring: [
    'errors',
    'statistics',
    'vault',
    'access',
    'graphql',
    'storage',
    'tasks',
    'catalog',
    'prediction',
    'datasets',
    'evaluation',
  ],
  metrics: ['counting', 'engine', 'storage'],
  api: [
    'errors',
    'counting',
    'without-paths',
    'config',
    'loopback',
    'fair-share',
    'linked-list',
    'json-scan',
    'vault',
    'access',
    'graphql',
    'storage',
    'tasks',
    'catalog',
    'datasets',
    'engine',
    'serving',
    'prediction',
    'importing',
    'publishing',
    'plots',
    'evaluation',
    'choosing',
    'explanation',
    'monitoring',
    'metrics',
  ],
  app: [
    'errors',
    'signing',
    'vault',
    'access',
    'config',
    'wait-at-most',
    'api',
    'plots',
    'evaluation',
    'choosing',
    'explanation',
    'monitoring',
    'prediction',
    'publishing',
    'importing',
    'serving',
    'catalog',
    'datasets',
    'engine',
    'storage',
  ],
  main: ['app', 'config', 'errors', 'production', 'terminal-log'],
  keys: ['access', 'config', 'errors', 'production', 'storage'],
  operations: ['access', 'api', 'config', 'errors', 'production', 'storage'],
  'audit-verify': ['access', 'config', 'production', 'storage'],
  'rotate-master-key': ['access', 'config', 'errors', 'production', 'storage', 'vault'],
  fsck: ['access', 'config', 'maintenance', 'production'],
  backup: ['config', 'errors', 'maintenance', 'production'],
  restore: ['errors', 'maintenance', 'production'],
  'check-model': ['config', 'importing', 'engine', 'signing', 'storage', 'production'],
};

const NATIVE = ['onnxruntime-node', 'sharp', 'tokenizers'];

/** What production runs: without the fault points, which the build leaves out. */
const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && file !== 'fault-points.ts')
  .map((file) => ({ file, text: readFileSync(path.join('src', file), 'utf8').replaceAll(/^.*\/\/ @fault$/gm, '') }))
  .map(({ file, text }) => ({ file, source: ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true) }));

function importsOf(source: ts.SourceFile): string[] {
  return source.statements.flatMap((node) =>
    (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) &&
    node.moduleSpecifier &&
    ts.isStringLiteral(node.moduleSpecifier)
      ? [node.moduleSpecifier.text]
      : [],
  );
}

function localImportsOf({ file, source }: (typeof files)[number]): string[] {
  return importsOf(source)
    .filter((target) => target.startsWith('.'))
    .map((target) => path.join(path.dirname(file), target).replace(/\.js$/, '.ts'));
}

const folderOf = (file: string) => (file.split('/')[0] as string).replace(/\.ts$/, '');

test('imports only point down', () => {
  const wrong = files.flatMap(({ file, source }) =>
    localImportsOf({ file, source })
      .filter((target) => folderOf(target) !== folderOf(file))
      .filter((target) => !MAY_IMPORT[folderOf(file)]?.includes(folderOf(target)))
      .map((target) => `${file} → ${target}`),
  );

  expect(wrong).toEqual([]);
});

test('the table allows no import that the code does not use', () => {
  const unused = Object.entries(MAY_IMPORT).flatMap(([folder, targets]) => {
    const used = new Set(
      files
        .filter(({ file }) => folderOf(file) === folder)
        .flatMap(localImportsOf)
        .map(folderOf),
    );
    return targets.filter((target) => !used.has(target)).map((target) => `${folder} → ${target}`);
  });

  expect(unused).toEqual([]);
});

test('the architecture has a row for every folder and file of src/', () => {
  const rows = readFileSync('src/README.md', 'utf8')
    .split('\n')
    .flatMap((line) => /^\| (`.*?) \|/.exec(line)?.[1] ?? []);
  const names = readdirSync('src', { withFileTypes: true })
    .filter(({ name }) => !name.endsWith('.md'))
    .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name));

  expect(names.filter((name) => !rows.some((row) => row.includes(`\`${name}\``)))).toEqual([]);
});

test('there are no import cycles', () => {
  const graph = new Map(files.map((entry) => [entry.file, localImportsOf(entry)]));
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): void => {
    if (trail.includes(file)) circles.push([...trail.slice(trail.indexOf(file)), file].join(' → '));
    if (done.has(file) || trail.includes(file)) return;
    for (const target of graph.get(file) ?? []) visit(target, [...trail, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);

  expect(circles).toEqual([]);
});

test('only worker/ imports native packages, and nothing imports worker/', () => {
  const native = files.filter(({ source }) => importsOf(source).some((target) => NATIVE.includes(target)));
  const users = files.filter(
    (entry) =>
      folderOf(entry.file) !== 'worker' && localImportsOf(entry).some((target) => folderOf(target) === 'worker'),
  );

  expect(native.map(({ file }) => file).filter((file) => !file.startsWith('worker/'))).toEqual([]);
  expect(users.map(({ file }) => file)).toEqual([]);
});

test('only metrics/ imports prom-client', () => {
  const users = files.filter(({ source }) => importsOf(source).includes('prom-client'));

  expect([...new Set(users.map(({ file }) => folderOf(file)))]).toEqual(['metrics']);
});

test('worker/ imports only the messages and their frames from engine/', () => {
  const used = files
    .filter(({ file }) => folderOf(file) === 'worker')
    .flatMap(localImportsOf)
    .filter((target) => folderOf(target) === 'engine');

  expect([...new Set(used)].sort()).toEqual(['engine/frames.ts', 'engine/messages.ts']);
});

test('the name of a task occurs only in its own file', () => {
  const names = files.flatMap(({ source }) => /^ {2}name: '([A-Z_]+)',$/m.exec(source.text)?.[1] ?? []);
  const mentions = files.flatMap(({ file, source }) =>
    names
      .filter(
        (name) => source.text.includes(`'${name}'`) && file !== `tasks/${name.toLowerCase().replaceAll('_', '-')}.ts`,
      )
      .map((name) => `${file} names ${name}`),
  );

  expect(names.length).toBeGreaterThan(12);
  // A folder whose task is unknown is listed as a model of plain tensors.
  expect(mentions).toEqual(['importing/import.ts names TENSOR', 'importing/manifest.ts names TENSOR']);
});

test('SQL is in queries, migrations and storage only', () => {
  const builders = /\.(selectFrom|insertInto|updateTable|deleteFrom)\(/;
  const wrong = files.filter(
    ({ file, source }) => builders.test(source.text) && !/\.queries\.ts$|^storage\//.test(file),
  );

  expect(wrong.map(({ file }) => file)).toEqual([]);
});

test('queries take the principal, except those of the server itself and those that change the catalog', () => {
  const takesPrincipal = (node: ts.FunctionDeclaration) =>
    node.parameters.some(({ type }) => ['Principal', 'Viewer'].includes(type?.getText() ?? ''));
  const without = files
    .filter(({ file }) => file.endsWith('.queries.ts') && file !== 'catalog/registration.queries.ts')
    .flatMap(({ file, source }) =>
      source.statements
        .filter(ts.isFunctionDeclaration)
        .filter((node) => ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Export)
        .filter((node) => node.parameters[0]?.type?.getText().endsWith('Database') && !takesPrincipal(node))
        .map((node) => `${file} ${node.name?.text}`),
    );

  expect(without.sort()).toEqual([
    // Which principals there are.
    'access/api-key.queries.ts findApiKey',
    'access/api-key.queries.ts findApiKeyPage',
    'access/api-key.queries.ts findApiKeys',
    'access/api-key.queries.ts findApiKeysFingerprint',
    'access/api-key.queries.ts saveLastUses',
    // For auditors, who see all of it.
    'access/audit.queries.ts findAuditEntriesAfter',
    'access/audit.queries.ts findAuditHead',
    'access/audit.queries.ts findAuditPage',
    'access/audit.queries.ts findAuditProblems',
    // Of all callers.
    'access/quota.queries.ts addQuotaUse',
    'access/quota.queries.ts deleteQuotaUseBefore',
    'access/quota.queries.ts findQuotaUse',
    // For administrators, and for the server, which looks up documents by ids.
    'access/registered-operation.queries.ts findRegisteredFingerprint',
    'access/registered-operation.queries.ts findRegisteredOperations',
    'access/registered-operation.queries.ts findRegisteredPage',
    // For the server itself, which deletes their predictions.
    'catalog/deleted-version.queries.ts findDeletedVersions',
    'catalog/deleted-version.queries.ts forgetDeletedVersions',
    // For the server itself, of all accounts.
    'catalog/model-uses.queries.ts deleteUsesBefore',
    'catalog/model-uses.queries.ts saveModelUses',
    'datasets/dataset-images.queries.ts insertImageThumbnail',
    'evaluation/evaluation.queries.ts insertEvaluation',
    // Evaluating is the server's work, once it is recorded.
    'evaluation/job.queries.ts doOthersWait',
    'evaluation/job.queries.ts findNextJob',
    // For the server itself, of what an administrator or the owner asked for.
    'prediction/erasure.queries.ts countUnfinishedByKeys',
    'prediction/erasure.queries.ts deletePredictions',
    'prediction/erasure.queries.ts findErasure',
    'prediction/erasure.queries.ts findNewestId',
    'prediction/erasure.queries.ts findOwnIds',
    'prediction/erasure.queries.ts findRowsToErase',
    'prediction/erasure.queries.ts findUnfinishedErasures',
    'prediction/erasure.queries.ts hasPredictionsBetween',
    'prediction/erasure.queries.ts updateErasure',
    // A signed URL is all that its holder needs; thumbnails are made and deleted by the server.
    'prediction/picture.queries.ts findAnswerOfUrl',
    'prediction/picture.queries.ts findBlobsOfPictures',
    'prediction/picture.queries.ts findPictureOfUrl',
    'prediction/picture.queries.ts findRowOfPicture',
    'prediction/picture.queries.ts insertThumbnail',
    'prediction/picture.queries.ts isRecorded',
    // Versions only, from which the catalog selects those that the principal may see.
    'prediction/prediction.queries.ts findUsedVersionIds',
    // Its result is a function that takes the principal.
    'prediction/prediction.queries.ts predictionInserts',
    'prediction/retention.queries.ts deleteIdempotencyBefore',
    'prediction/retention.queries.ts findBlobsInUse',
    'prediction/retention.queries.ts findPredictionsBefore',
    'prediction/sealing.queries.ts claimUpdate',
    'prediction/sealing.queries.ts findPlainClaims',
    'prediction/sealing.queries.ts findUnsealed',
    'prediction/sealing.queries.ts findUnsealedSizes',
    'prediction/sealing.queries.ts sealingUpdate',
    // Publishing is the server's work, once it is recorded.
    'publishing/publication.queries.ts findModel',
    'publishing/publication.queries.ts findNextPublication',
    'publishing/publication.queries.ts setPublication',
    // Expiry is the server's work, and a URL with its token is all that its holder needs.
    'publishing/upload.queries.ts deleteUploads',
    'publishing/upload.queries.ts findExpiredUploads',
    'publishing/upload.queries.ts findKnownUploads',
    'publishing/upload.queries.ts findUploadOfUrl',
    'publishing/upload.queries.ts setUpload',
    // The engine measures for all callers.
    'serving/latency.queries.ts findLatency',
    'serving/latency.queries.ts saveLatency',
    // At the start, for the server itself.
    'serving/serving.queries.ts findPreloadedRefs',
    'serving/serving.queries.ts findReadyRefs',
    // Keys are found by the rows that a principal may read.
    'vault/data-key.queries.ts deleteErasedKeys',
    'vault/data-key.queries.ts deleteKeysOfPeriod',
    'vault/data-key.queries.ts eraseKeys',
    'vault/data-key.queries.ts findKeys',
    'vault/data-key.queries.ts findKeysOf',
    'vault/data-key.queries.ts findLastKeyId',
    'vault/data-key.queries.ts findPeriods',
  ]);
});

test('type-graphql is in types, inputs, resolvers, policies, prices and the schema builder only', () => {
  const allowed =
    /\.(type|input|resolver)\.ts$|^api\/(schema|plain-resolvers)\.ts$|^access\/policy\.ts$|^graphql\/cost\.ts$/;
  const wrong = files.filter(({ file, source }) => importsOf(source).includes('type-graphql') && !allowed.test(file));

  expect(wrong.map(({ file }) => file)).toEqual([]);
});

test('only entry files, production.ts and child.ts read the environment; only entry files exit', () => {
  const reads = files.filter(({ source }) => /process\.env\b/.test(source.text)).map(({ file }) => file);
  const exits = files.filter(({ source }) => /process\.exit\(/.test(source.text)).map(({ file }) => file);

  expect(reads.sort()).toEqual([
    'audit-verify.ts',
    'backup.ts',
    'check-model.ts',
    'engine/child.ts',
    'fsck.ts',
    'keys.ts',
    'main.ts',
    'operations.ts',
    'production.ts',
    'restore.ts',
    'rotate-master-key.ts',
  ]);
  expect(exits.sort()).toEqual(['check-model.ts', 'main.ts', 'worker/worker.ts']);
});

test('only access/ identifies who sends a request', () => {
  const readers = files.filter(({ source }) => /\bremoteAddress\b|\bauthenticate\(/.test(source.text));

  expect(readers.map(({ file }) => file).sort()).toEqual(['access/authentication.ts', 'api/server.ts']);
});

/** Lines of every function that is written out, arrow functions of one line left out. */
function functionSizes(): { name: string; lines: number }[] {
  const sizes: { name: string; lines: number }[] = [];
  for (const { file, source } of files) {
    const visit = (node: ts.Node): void => {
      if (ts.isFunctionLike(node) && 'body' in node && node.body) {
        const start = source.getLineAndCharacterOfPosition(node.getStart(source)).line;
        const lines = source.getLineAndCharacterOfPosition(node.end).line - start + 1;
        const name = node.name?.getText(source) ?? 'arrow';
        if (!(ts.isArrowFunction(node) && lines === 1)) sizes.push({ name: `${file} ${name}`, lines });
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return sizes;
}

test('functions stay short: nine of ten within 30 lines, none over 60', () => {
  const sizes = functionSizes().sort((a, b) => a.lines - b.lines);
  const p90 = sizes[Math.floor(sizes.length * 0.9)]?.lines;

  expect(p90).toBeLessThanOrEqual(30);
  expect(sizes.filter(({ lines }) => lines > 60)).toEqual([]);
});

test.each(['main.ts', 'check-model.ts'])('%s imports production.ts before anything that could load graphql', (name) => {
  const main = files.find(({ file }) => file === name);

  expect(main && importsOf(main.source)[0]).toBe('./production.js');
});
