/**
 * GraphQL Code Generator's configuration for this schema, with the client preset: `npx graphql-codegen --config codegen.ts`.
 * Copy it, and name your own documents. The documents it generates suit Apollo Client and urql.
 *
 * `ModelInput` is generated if one of your documents takes it, as those of `predict` and `predictMany` do.
 */

/** Types of the custom scalars, as they are sent and received. */
export const scalars = {
  Base64: 'string',
  DateTime: 'string',
  FloatList: 'number[]',
  JSON: 'unknown',
  JSONObject: 'Record<string, unknown>',
  ModelInputValue: 'ModelInput',
  SafeInt: 'number',
  VersionRef: 'string',
} as const;

const config = {
  schema: 'schema.graphql',
  documents: 'operations/*.graphql',
  generates: {
    'generated/': {
      preset: 'client',
      config: {
        scalars,
        strictScalars: true,
        enumsAsTypes: true,
        useTypeImports: true,
      },
      presetConfig: { fragmentMasking: false },
    },
  },
};

export default config;
