/** The scalars of the schema. A value that does not fit is BAD_USER_INPUT before any resolver runs. */
import { GraphQLError, GraphQLScalarType, Kind } from 'graphql';
import { GraphQLDateTimeISO, GraphQLJSON, GraphQLJSONObject, GraphQLSafeInt } from 'graphql-scalars';

export const DateTime = renamed(
  GraphQLDateTimeISO,
  'DateTime',
  'A moment, ISO 8601 in UTC, such as 2026-11-23T18:15:48.000Z.',
);
export const SafeInt = renamed(GraphQLSafeInt, 'SafeInt', 'A whole number, exact below 2^53, as a JSON number.');
export const JSONObject = renamed(GraphQLJSONObject, 'JSONObject', 'A JSON object. Send it as a variable.');
export const JSONValue = renamed(GraphQLJSON, 'JSON', 'Any JSON value.');

export const VersionRef = text(
  'VersionRef',
  'Names a version: "digits-mlp" (its `champion`, else the newest READY one), "digits-mlp@champion" or "digits-mlp:3".',
);
export const Base64 = text('Base64', 'Bytes as base64 text.');

export const FloatList = new GraphQLScalarType<readonly number[], ArrayLike<number>>({
  name: 'FloatList',
  description: 'A JSON list of numbers, as one value; nine significant digits, which is all that 32 bits hold.',
  serialize: (value) => Array.from(value as ArrayLike<number>, (x) => Number(x.toPrecision(9))),
});

export const ModelInputValue = new GraphQLScalarType({
  name: 'ModelInputValue',
  description: 'A value of the input type `ModelInput`, as JSON, with exactly one key.',
});

function renamed(scalar: GraphQLScalarType, name: string, description: string): GraphQLScalarType {
  return new GraphQLScalarType({ ...scalar.toConfig(), name, description, specifiedByURL: null });
}

function text(name: string, description: string): GraphQLScalarType<string, string> {
  const asText = (value: unknown): string => {
    if (typeof value === 'string') return value;
    throw new GraphQLError(`${name} is a string.`);
  };
  return new GraphQLScalarType({
    name,
    description,
    serialize: asText,
    parseValue: asText,
    parseLiteral: (node) => asText(node.kind === Kind.STRING ? node.value : null),
  });
}
