/**
 * Which strings of a document are arguments, such as names and searches, and not part of an input of a model: these have
 * a limit of their own (`maxStringCharacters`). Texts and base64 in inputs have the limits of inputs.
 */
import {
  type ASTVisitor,
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  getNamedType,
  Kind,
  type StringValueNode,
  TypeInfo,
  type ValidationRule,
  type VariableDefinitionNode,
  type VariableNode,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import { LIMITS } from './limits.js';

/** The types of inputs of models, and of the rows of a dataset. */
export const INPUT_TYPES: ReadonlySet<string> = new Set(['ModelInput', 'RowsInput', 'DatasetDataInput']);

const byDocument = new WeakMap<DocumentNode, ReadonlySet<string>>();

/** Names of the variables that are used outside of inputs, by any operation of the document. */
export function shortVariables(schema: GraphQLSchema, document: DocumentNode): ReadonlySet<string> {
  const known = byDocument.get(document);
  if (known) return known;
  const names = new Set<string>();
  const types = new TypeInfo(schema);
  const visitor = outsideInputs(types, (node) => {
    if (node.kind === Kind.VARIABLE) names.add(node.name.value);
  });
  visit(document, visitWithTypeInfo(types, visitor));
  byDocument.set(document, names);
  return names;
}

/** Refuses string literals that are too long, and default values of variables. */
export const shortLiterals: ValidationRule = (context) => {
  const names = new Set<string>();
  const definitions: VariableDefinitionNode[] = [];
  const check = (node: StringValueNode) => {
    if (node.value.length > LIMITS.maxStringCharacters) context.reportError(tooLong(node));
  };
  const visitor = outsideInputs(context, (node) => {
    if (node.kind === Kind.VARIABLE) names.add(node.name.value);
    else check(node);
  });
  return {
    ...visitor,
    VariableDefinition(node) {
      definitions.push(node);
      return false;
    },
    Document: {
      leave() {
        for (const { variable, defaultValue } of definitions)
          if (defaultValue && names.has(variable.name.value)) visit(defaultValue, { StringValue: check });
      },
    },
  };
};

/** Calls `found` for variables and strings that are used outside of inputs. Definitions of variables are not uses. */
function outsideInputs(
  types: Pick<TypeInfo, 'getInputType'>,
  found: (node: VariableNode | StringValueNode) => void,
): ASTVisitor {
  let depth = 0;
  const visitValue = (node: VariableNode | StringValueNode) => {
    if (depth === 0) found(node);
  };
  return {
    VariableDefinition: () => false,
    ObjectValue: {
      enter() {
        const type = types.getInputType();
        if (depth > 0 || (type && INPUT_TYPES.has(getNamedType(type).name))) depth++;
      },
      leave() {
        if (depth > 0) depth--;
      },
    },
    Variable: visitValue,
    StringValue: visitValue,
  };
}

function tooLong(node: StringValueNode): GraphQLError {
  const limit = 'maxStringCharacters';
  const [received, allowed] = [node.value.length, LIMITS[limit]];
  const message = `A string has ${received} characters; at most ${allowed} characters are allowed outside of inputs (${limit}). Send a shorter one.`;
  const extensions = { code: 'DOCUMENT_LIMIT_EXCEEDED', limit, received, allowed };
  return new GraphQLError(message, { nodes: node, extensions });
}
