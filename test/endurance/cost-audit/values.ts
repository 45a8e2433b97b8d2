/** The largest values that the limits allow, by input type: new arguments and input fields are covered without a change. */
import {
  type GraphQLInputObjectType,
  type GraphQLInputType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
} from 'graphql';

/** Objects that exist on the server, for arguments that name one. */
export interface Names {
  readonly model: string;
  readonly version: string;
  readonly dataset: string;
  readonly metric: string;
  /** By type name. */
  readonly ids: Readonly<Record<string, readonly string[]>>;
}

/** At most as many as any list of the schema accepts. */
const LIST_ELEMENTS = 100;
/** The longest string that is accepted outside of inputs. */
const TEXT_CHARACTERS = 2_048;
/** Fits into a body, and is refused unless an argument has no limit. */
export const LONGEST_TEXT = 'ab cd '.repeat(15_000_000 / 6);

/** A value for a required argument: an existing object where one is named, else the largest value. */
export function namingValue(name: string, type: GraphQLInputType, names: Names): unknown {
  const nullable = isNonNullType(type) ? type.ofType : type;
  const known: Readonly<Record<string, unknown>> = {
    model: names.model,
    ref: names.version,
    version: names.version,
    alias: 'champion',
    name: names.model,
    metric: names.metric,
    dataset: names.dataset,
    id: names.ids['Prediction']?.[0],
    ids: Object.values(names.ids).flat().slice(0, LIST_ELEMENTS),
  };
  if (known[name] !== undefined && !isInputObjectType(nullable)) return known[name];
  if (isInputObjectType(nullable)) return objectOf(nullable, names);
  return largestValue(name, nullable, names);
}

/** All fields of an input object; of one that takes a single key, the first. */
function objectOf(type: GraphQLInputObjectType, names: Names): Record<string, unknown> {
  const fields = Object.values(type.getFields());
  const given = type.isOneOf ? fields.slice(0, 1) : fields;
  return Object.fromEntries(given.map((field) => [field.name, namingValue(field.name, field.type, names)]));
}

export function largestValue(name: string, type: GraphQLInputType, names: Names): unknown {
  if (isNonNullType(type)) return largestValue(name, type.ofType, names);
  if (isListType(type)) return Array.from({ length: LIST_ELEMENTS }, (_, i) => elementOf(name, type.ofType, names, i));
  if (isInputObjectType(type)) return objectOf(type, names);
  if (isEnumType(type)) return type.getValues().at(-1)?.name;
  if (type.name === 'Int' || type.name === 'SafeInt') return 100;
  if (type.name === 'Float') return 0.05;
  if (type.name === 'Boolean') return true;
  if (type.name === 'DateTime') return '2020-01-01T00:00:00.000Z';
  if (type.name === 'VersionRef') return names.version;
  if (type.name === 'JSONObject')
    return Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`column ${i}`, i]));
  return 'model '.repeat(TEXT_CHARACTERS / 6);
}

function elementOf(name: string, type: GraphQLInputType, names: Names, i: number): unknown {
  const value = largestValue(name, type, names);
  return typeof value === 'string' && !isEnumType(isNonNullType(type) ? type.ofType : type)
    ? `${value.slice(0, 1_000)}${i}`
    : value;
}
