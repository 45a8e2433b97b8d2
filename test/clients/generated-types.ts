/** What GraphQL Code Generator writes with the shipped configuration, without files and without its command line. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { preset } from '@graphql-codegen/client-preset';
import { codegen } from '@graphql-codegen/core';
import { buildSchema, parse } from 'graphql';
import config from '../../schema/codegen.ts';

/** @returns the generated files by name */
export async function generatedTypes(documents: readonly string[]): Promise<Record<string, string>> {
  const sdl = readFileSync('schema/schema.graphql', 'utf8');
  const { presetConfig, config: settings } = config.generates['generated/'];
  const outputs = await preset.buildGeneratesSection({
    baseOutputDir: 'generated/',
    schema: parse(sdl),
    schemaAst: buildSchema(sdl),
    documents: documents.map((file) => {
      const rawSDL = readFileSync(file, 'utf8');
      return { location: file, document: parse(rawSDL), rawSDL };
    }),
    config: settings,
    presetConfig,
    plugins: [],
    pluginMap: {},
    documentTransforms: [],
  });
  const texts = outputs.map(async (output) => [path.basename(output.filename), await codegen(output)] as const);
  return Object.fromEntries(await Promise.all(texts));
}
