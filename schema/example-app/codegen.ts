import shared from '../codegen.ts';

/** As the shipped configuration, with the documents of this app and the shipped fragments. */
export default {
  ...shared,
  schema: '../schema.graphql',
  documents: ['src/operations.graphql', '../fragments.graphql'],
  generates: { 'src/gql/': shared.generates['generated/'] },
};
