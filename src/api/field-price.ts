/**
 * Prices of fields, in points: numbers where nothing depends on variables, and functions of the request elsewhere.
 *
 * Defaults come from the types: an object, a row of the database, a value and the bytes of a value each have a price,
 * multiplied by the lists around them. `@Cost` beside a field replaces them.
 */
import {
  type GraphQLField,
  type GraphQLObjectType,
  getNamedType,
  getNullableType,
  isLeafType,
  isListType,
} from 'graphql';
import type { CostScope, FieldCost, Measure, VersionName } from '../graphql/cost.js';
import { MAX_PAGE_SIZE } from '../storage/pages.js';
import type { VersionSpec } from '../tasks/tasks.js';
import type { ArgsOf } from './cost-args.js';
import type { Variables } from './variables.js';

/** Reading a row of the database. */
const ROW_POINTS = 1;
const OBJECT_POINTS = 0.05;
const VALUE_POINTS = 0.02;
const BYTES_PER_POINT = 8_192;
/** Elements of a list that states no size. */
const DEFAULT_ELEMENTS = 10;
/** Bytes of scalars without a fixed size. */
const DEFAULT_BYTES: Readonly<Record<string, number>> = {
  JSON: 4_096,
  JSONObject: 4_096,
  ModelInputValue: 16_384,
  FloatList: 16_384,
  Base64: 16_384,
};
/** Introspection reads the schema, which has about this many types. */
const INTROSPECTED_TYPES = 120;

export interface Request extends CostScope {
  readonly variables: Variables;
  /** Of the versions of the plan, in their order. */
  readonly specs: Specs;
  readonly total: RunTotal;
}

/** Kept while the prices of an operation are added up. */
export interface RunTotal {
  /** Points for running a graph on one input, the one that needs most of them. */
  largestComputation: number;
  /** Of what runs models. */
  runPoints: number;
  /** That the root field runs whose price is being added. */
  inputs: number;
}

/** Null for a version that does not exist, or a field that names none. */
export type Specs = readonly (VersionSpec | null)[];

/** A number if it depends on nothing but the document. */
export type Price = number | ((request: Request) => number);

/** Of an object, without its fields. */
export function pointsOf(type: GraphQLObjectType): number {
  return type.getInterfaces().some(({ name }) => name === 'Node') ? ROW_POINTS : OBJECT_POINTS;
}

interface FieldParts {
  readonly field: GraphQLField<unknown, unknown>;
  readonly args: ArgsOf;
  /** Of one element. */
  readonly children: Price;
  /** Returns the index of the version in the plan. */
  readonly addVersion: (version: (variables: Variables) => VersionName | null) => number;
}

export function fieldPrice({ field, args, children, addVersion }: FieldParts): Price {
  const cost = (field.extensions['cost'] ?? {}) as FieldCost;
  const isList = isListType(getNullableType(field.type));
  const { name } = getNamedType(field.type);
  const points = measured(cost.points ?? 0, args);
  const elements = isList ? measured(cost.elements ?? sizeOfList(field), args) : 1;
  if (isLeafType(getNamedType(field.type))) {
    const bytes = cost.bytes ? measured(cost.bytes, args) : product(elements, DEFAULT_BYTES[name] ?? 0);
    return sum([points, product(elements, VALUE_POINTS), product(bytes, 1 / BYTES_PER_POINT)]);
  }
  const price = sum([points, product(elements, children)]);
  if (cost.runs) {
    const version = cost.version ?? (() => null);
    return runPrice({ runs: cost.runs, version, args, price, addVersion });
  }
  return isList || !field.args.some((arg) => arg.name === 'first') ? price : pagePrice(price, args);
}

/** A list that takes `first` has at most that many elements. */
function sizeOfList({ name, args, type }: GraphQLField<unknown, unknown>): Measure {
  if (args.some((arg) => arg.name === 'first')) return ({ first }) => atLeastOne(first);
  return name === 'types' && getNamedType(type).name === '__Type' ? INTROSPECTED_TYPES : DEFAULT_ELEMENTS;
}

function atLeastOne(value: unknown): number {
  return typeof value === 'number' && value > 1 ? value : 1;
}

function measured(measure: Measure, args: ArgsOf): Price {
  return typeof measure === 'number' ? measure : (request) => measure(args(request.variables), request);
}

/** The fields of a page know its size. */
function pagePrice(price: Price, args: ArgsOf): Price {
  if (typeof price === 'number') return price;
  return (request) => {
    // A larger page is refused by its resolver.
    const pageSize = Math.min(atLeastOne(args(request.variables)['first']), MAX_PAGE_SIZE);
    return price({ ...request, pageSize });
  };
}

function runPrice(parts: {
  runs: NonNullable<FieldCost['runs']>;
  version: NonNullable<FieldCost['version']>;
  args: ArgsOf;
  price: Price;
  addVersion: FieldParts['addVersion'];
}): Price {
  const { runs, version, args, price } = parts;
  const index = parts.addVersion((variables) => version(args(variables)));
  return ({ variables, specs, total }) => {
    const { points, inputs, largestComputation, prediction } = runs(args(variables), specs[index] ?? null);
    total.largestComputation = Math.max(total.largestComputation, largestComputation);
    total.runPoints += points;
    total.inputs += inputs;
    return points + pointsIn(price, { variables, specs, total, pageSize: inputs, prediction });
  };
}

export function pointsIn(price: Price, request: Request): number {
  return typeof price === 'number' ? price : price(request);
}

/** The sum of prices, with a single number for those that do not depend on the request. */
export function sum(prices: readonly Price[]): Price {
  const fixed = prices.reduce<number>((total, price) => (typeof price === 'number' ? total + price : total), 0);
  const variable = prices.filter((price) => typeof price === 'function');
  const [first] = variable;
  if (!first) return fixed;
  if (variable.length === 1) return fixed === 0 ? first : (request) => fixed + first(request);
  return (request) => {
    let total = fixed;
    for (const price of variable) total += price(request);
    return total;
  };
}

export function product(a: Price, b: Price): Price {
  if (a === 0 || b === 0) return 0;
  if (typeof a === 'number') return typeof b === 'number' ? a * b : (request) => a * b(request);
  return typeof b === 'number' ? (request) => a(request) * b : (request) => a(request) * b(request);
}

export function highest(prices: readonly Price[]): Price {
  const fixed = prices.reduce<number>((most, price) => (typeof price === 'number' ? Math.max(most, price) : most), 0);
  const variable = prices.filter((price) => typeof price === 'function');
  if (variable.length === 0) return fixed;
  return (request) => {
    let most = fixed;
    for (const price of variable) most = Math.max(most, price(request));
    return most;
  };
}
