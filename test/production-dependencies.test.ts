/** What is left after `npm ci --omit=dev` is all that the build imports. */
import { globSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import ts from 'typescript';

const lock: { packages: Record<string, { dev?: boolean; devOptional?: boolean }> } = JSON.parse(
  readFileSync('package-lock.json', 'utf8'),
);

/** The packages that a file imports, also with `import()`, `export … from` and `require`. */
function packagesOf(file: string): string[] {
  const { importedFiles } = ts.preProcessFile(readFileSync(file, 'utf8'), true, true);
  return importedFiles
    .map(({ fileName }) => fileName)
    .filter((name) => !name.startsWith('.') && !isBuiltin(name))
    .map((name) => /^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] as string);
}

test('each package that the build imports is installed without packages for development', () => {
  const files = globSync('dist/**/*.js', { exclude: ['dist/api/explorer/assets/**'] });
  const imported = [...new Set(files.flatMap(packagesOf))].sort();
  const installed = (name: string) => {
    const found = lock.packages[`node_modules/${name}`];
    return found !== undefined && !found.dev && !found.devOptional;
  };

  expect(imported).toEqual(expect.arrayContaining(['@swc/helpers', 'fastify', 'kysely', 'onnxruntime-node', 'sharp']));
  expect(imported.filter((name) => !installed(name))).toEqual([]);
});

test('npm start imports no package for development where there is nothing to build', () => {
  const imported = ts.preProcessFile(readFileSync('src/build.js', 'utf8'), true, false).importedFiles;
  const statically = readFileSync('src/build.js', 'utf8').matchAll(/^import .* from '([^']+)';$/gm);

  expect(imported.map(({ fileName }) => fileName)).toContain('@swc/core');
  expect([...statically].map(([, name]) => name).filter((name) => !isBuiltin(name as string))).toEqual([]);
});
