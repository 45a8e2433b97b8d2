/**
 * The cost of an operation: an upper bound of the work that it causes, in points.
 *
 * A document is walked once, with the schema. The result is a plan: a number where nothing depends on variables, and
 * functions of the request elsewhere. Defaults come from the types: an object, a row of the database, a value and the bytes
 * of a value each have a price, multiplied by the lists around them. `@Cost` beside a field replaces them.
 */
import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isAbstractType,
  isLeafType,
  isListType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  SchemaMetaFieldDef,
  type SelectionSetNode,
  TypeMetaFieldDef,
} from 'graphql';
import type { CostScope, FieldCost, Measure, PredictionSize, VersionName } from '../graphql/cost.js';
import { MAX_PAGE_SIZE } from '../storage/pages.js';
import { MAX_OBJECTS } from '../tasks/boxes.js';
import type { VersionSpec } from '../tasks/tasks.js';
import { type ArgsOf, argsReader, type Condition, conditionOf, variablesReader } from './cost-args.js';
import type { Variables } from './variables.js';

const ROOT_POINTS = 1;
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
/** Introspection reads the schema, which has about this many types. It takes a small part of the time of other fields. */
const INTROSPECTED_TYPES = 120;
const INTROSPECTION_FACTOR = 1 / 20;

/** What is assumed of a stored prediction. The actual size is bounded by the size of the response. */
const STORED_PREDICTION: PredictionSize = {
  inputBytes: 65_536,
  characters: 4_096,
  tokens: 256,
  labels: 100,
  targets: 32,
  sentences: 32,
  documents: 32,
  objects: MAX_OBJECTS,
  outputValues: 4_096,
};

interface Request extends CostScope {
  readonly variables: Variables;
  /** Of the versions of the plan, in their order. */
  readonly specs: Specs;
  readonly total: RunTotal;
}

/** Kept while the prices of an operation are added up. */
interface RunTotal {
  /** Points for running a graph on one input, the one that needs most of them. */
  largestComputation: number;
}

/** Null for a version that does not exist, or a field that names none. */
type Specs = readonly (VersionSpec | null)[];

/** A number if it depends on nothing but the document. */
type Price = number | ((request: Request) => number);

export interface CostPlan {
  /** Fields that were planned; measures its memory. */
  readonly fields: number;
  /** The versions that the operation runs: one for each field that runs one, null if it names none. */
  readonly versions: (variables: Variables) => (VersionName | null)[];
  /** `specs`: of `versions`, in the same order. */
  readonly cost: (variables: Variables, specs: Specs) => OperationCost;
}

/** In points, rounded up. */
export interface OperationCost {
  readonly requested: number;
  /**
   * What the limit applies to. Running a graph on one input is left out, because the input of a large model cannot be made
   * smaller; how long that takes is limited by deadlines and by the queue.
   */
  readonly limited: number;
}

/** Plans the cost of an operation of a valid document. */
export function planCost(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode): CostPlan {
  const planner = new Planner(schema, document, operation);
  const root = schema.getRootType(operation.operation);
  const price = root ? planner.priceOf(root, [{ set: operation.selectionSet, condition: null }]) : 0;
  const withDefaults = variablesReader(operation);
  return {
    fields: planner.fields,
    versions: (sent) => {
      const variables = withDefaults(sent);
      return planner.versions.map((version) => version(variables));
    },
    cost: (sent, specs) => {
      const total: RunTotal = { largestComputation: 0 };
      const request = { variables: withDefaults(sent), specs, total, pageSize: 1, prediction: STORED_PREDICTION };
      const points = pointsIn(price, request);
      return { requested: Math.ceil(points), limited: Math.ceil(points - total.largestComputation) };
    },
  };
}

/** A selection set, and when it applies. */
interface Selected {
  readonly set: SelectionSetNode;
  readonly condition: Condition | null;
}

/** The selections with one response name, which are executed as one field. */
interface MergedField {
  readonly node: FieldNode;
  readonly sets: Selected[];
  /** The field is executed if any of them holds; null always holds. */
  readonly conditions: (Condition | null)[];
}

class Planner {
  readonly versions: ((variables: Variables) => VersionName | null)[] = [];
  fields = 0;
  readonly #schema: GraphQLSchema;
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly #roots: ReadonlySet<unknown>;

  constructor(schema: GraphQLSchema, { definitions }: DocumentNode, { operation }: OperationDefinitionNode) {
    this.#schema = schema;
    const fragments = definitions.filter((node) => node.kind === Kind.FRAGMENT_DEFINITION);
    this.#fragments = new Map(fragments.map((node) => [node.name.value, node]));
    this.#roots = new Set([schema.getRootType(operation)]);
  }

  /** The price of the fields that are selected on one object. */
  priceOf(type: GraphQLObjectType, selected: readonly Selected[]): Price {
    const fields = new Map<string, MergedField>();
    for (const { set, condition } of selected) this.#collect(type, set, condition, fields);
    return sum(
      [...fields.values()].map((field) => {
        const price = this.#priceOfField(type, field);
        const { conditions } = field;
        if (price === 0 || conditions.includes(null)) return price;
        return (request) => (conditions.some((holds) => holds?.(request.variables)) ? pointsIn(price, request) : 0);
      }),
    );
  }

  /** Collects the fields that apply to an object of this type, through fragments. */
  #collect(
    type: GraphQLObjectType,
    set: SelectionSetNode,
    condition: Condition | null,
    fields: Map<string, MergedField>,
  ): void {
    for (const node of set.selections) {
      const own = conditionOf(node, condition);
      if (node.kind === Kind.FIELD) {
        const name = (node.alias ?? node.name).value;
        const field = fields.get(name) ?? { node, sets: [], conditions: [] };
        fields.set(name, field);
        field.conditions.push(own);
        if (node.selectionSet) field.sets.push({ set: node.selectionSet, condition: null });
      } else {
        const fragment = node.kind === Kind.INLINE_FRAGMENT ? node : this.#fragments.get(node.name.value);
        if (fragment && this.#applies(type, fragment.typeCondition?.name.value))
          this.#collect(type, fragment.selectionSet, own, fields);
      }
    }
  }

  #applies(type: GraphQLObjectType, condition: string | undefined): boolean {
    if (condition === undefined || condition === type.name) return true;
    const other = this.#schema.getType(condition);
    return isAbstractType(other) && this.#schema.isSubType(other, type);
  }

  #priceOfField(parent: GraphQLObjectType, { node, sets }: MergedField): Price {
    this.fields++;
    const name = node.name.value;
    if (name === '__typename') return 0;
    const isRoot = this.#roots.has(parent);
    const meta = isRoot ? META_FIELDS[name] : undefined;
    const field = meta ?? parent.getFields()[name];
    if (!field) return 0;
    const children = this.#priceOfObjects(field.type, sets);
    const price = fieldPrice({
      field,
      args: argsReader(field, node),
      children,
      addVersion: (version) => this.versions.push(version) - 1,
    });
    if (meta) return sum([ROOT_POINTS, product(price, INTROSPECTION_FACTOR)]);
    return isRoot ? sum([ROOT_POINTS, price]) : price;
  }

  /** The price of one object that a field returns, with what is selected on it; of an abstract type, the dearest. */
  #priceOfObjects(type: GraphQLOutputType, sets: readonly Selected[]): Price {
    const named = getNamedType(type);
    if (isLeafType(named)) return 0;
    const types = isAbstractType(named) ? this.#schema.getPossibleTypes(named) : [named];
    return highest(types.filter(isObjectType).map((one) => sum([pointsOf(one), this.priceOf(one, sets)])));
  }
}

const META_FIELDS: Readonly<Record<string, GraphQLField<unknown, unknown>>> = {
  __schema: SchemaMetaFieldDef,
  __type: TypeMetaFieldDef,
};

function pointsOf(type: GraphQLObjectType): number {
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

function fieldPrice({ field, args, children, addVersion }: FieldParts): Price {
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
    return points + pointsIn(price, { variables, specs, total, pageSize: inputs, prediction });
  };
}

function pointsIn(price: Price, request: Request): number {
  return typeof price === 'number' ? price : price(request);
}

/** The sum of prices, with a single number for those that do not depend on the request. */
function sum(prices: readonly Price[]): Price {
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

function product(a: Price, b: Price): Price {
  if (a === 0 || b === 0) return 0;
  if (typeof a === 'number') return typeof b === 'number' ? a * b : (request) => a * b(request);
  return typeof b === 'number' ? (request) => a(request) * b : (request) => a(request) * b(request);
}

function highest(prices: readonly Price[]): Price {
  const fixed = prices.reduce<number>((most, price) => (typeof price === 'number' ? Math.max(most, price) : most), 0);
  const variable = prices.filter((price) => typeof price === 'function');
  if (variable.length === 0) return fixed;
  return (request) => {
    let most = fixed;
    for (const price of variable) most = Math.max(most, price(request));
    return most;
  };
}
