/** The worker of the editor for GraphQL. It accepts variables without the values that have defaults. */
import { parse } from 'graphql';
import { initialize } from 'monaco-editor/esm/vs/editor/editor.worker.js';
import { GraphQLWorker } from 'monaco-graphql/esm/GraphQLWorker.js';

class Worker extends GraphQLWorker {
  async doGetVariablesJSONSchema(uri) {
    const schema = await super.doGetVariablesJSONSchema(uri);
    if (!schema) return null;
    const withDefaults = variablesWithDefaults(this._getTextModel(uri).getValue());
    schema.required = schema.required.filter((name) => !withDefaults.has(name));
    // The schema of an input type requires each field that is not null, also one with a default.
    for (const type of Object.values(schema.definitions ?? {})) {
      type.required = type.required.filter((name) => !('default' in type.properties[name]));
    }
    return schema;
  }
}

function variablesWithDefaults(document) {
  const definitions = parse(document).definitions.flatMap(({ variableDefinitions = [] }) => variableDefinitions);
  return new Set(definitions.filter(({ defaultValue }) => defaultValue).map(({ variable }) => variable.name.value));
}

globalThis.onmessage = () => {
  initialize((context, settings) => new Worker(context, settings));
};
