/** The scalars of the schema. An invalid variable fails with BAD_USER_INPUT before any resolver runs. */
import { GraphQLError, GraphQLScalarType, Kind } from 'graphql';
import { GraphQLDateTimeISO, GraphQLJSON, GraphQLJSONObject, GraphQLSafeInt } from 'graphql-scalars';

export const DateTime = renamed(
  GraphQLDateTimeISO,
  'DateTime',
  'Date and time in ISO 8601 format, in UTC: "2026-11-23T18:15:48.000Z".',
);
export const SafeInt = renamed(GraphQLSafeInt, 'SafeInt', 'Integer from -(2^53 - 1) to 2^53 - 1, as a JSON number.');
export const JSONObject = renamed(
  GraphQLJSONObject,
  'JSONObject',
  'JSON object. Send it as a variable: a GraphQL literal cannot have keys such as "mean radius".',
);
export const JSONValue = renamed(GraphQLJSON, 'JSON', 'Any JSON value.');

export const VersionRef = text(
  'VersionRef',
  'Reference to a version, by number ("spam-filter:3"), by alias ("spam-filter@champion"), or to the default version of a model ("spam-filter"): the one with alias `champion` if set, otherwise the newest READY version.',
);
export const Base64 = text('Base64', 'Bytes as a base64 string.', { isLong: true });

export const FloatList = new GraphQLScalarType<readonly number[], ArrayLike<number>>({
  name: 'FloatList',
  description:
    'List of numbers, sent as one JSON value. Numbers have 9 significant digits, enough to restore any 32-bit float.',
  serialize: (value) => roundedOnce(value as ArrayLike<number>),
});

/** Rounding takes more time than serializing, and aliases return the same list. */
const rounded = new WeakMap<ArrayLike<number>, readonly number[]>();

function roundedOnce(values: ArrayLike<number>): readonly number[] {
  const known = rounded.get(values) ?? Array.from(values, (x) => Number(x.toPrecision(9)));
  rounded.set(values, known);
  return known;
}

export const ModelInputValue = new GraphQLScalarType({
  name: 'ModelInputValue',
  description: 'Value of the input type `ModelInput` as JSON: an object with exactly one key.',
});

interface ScalarExtensions {
  /** Whether values may be longer than 1,000 characters. */
  readonly isLong?: boolean;
}

function renamed(scalar: GraphQLScalarType, name: string, description: string): GraphQLScalarType {
  return new GraphQLScalarType({ ...scalar.toConfig(), name, description, specifiedByURL: null });
}

function text(name: string, description: string, extensions: ScalarExtensions = {}): GraphQLScalarType<string, string> {
  const asText = (value: unknown): string => {
    if (typeof value === 'string') return value;
    throw new GraphQLError(`${name} must be a string.`);
  };
  return new GraphQLScalarType({
    name,
    description,
    extensions: { ...extensions },
    serialize: asText,
    parseValue: asText,
    parseLiteral: (node) => asText(node.kind === Kind.STRING ? node.value : null),
  });
}
