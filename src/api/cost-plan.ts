/**
 * The cost of an operation: an upper bound of the work that it causes, in points.
 *
 * A document is walked once, with the schema. The result is a plan: the prices of its fields (`field-price.ts`), added up.
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
  isAbstractType,
  isLeafType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  SchemaMetaFieldDef,
  type SelectionSetNode,
  TypeMetaFieldDef,
} from 'graphql';
import type { PredictionSize, VersionName } from '../graphql/cost.js';
import { MAX_OBJECTS } from '../tasks/boxes.js';
import { argsReader, type Condition, conditionOf, variablesReader } from './cost-args.js';
import {
  fieldPrice,
  highest,
  type Price,
  pointsIn,
  pointsOf,
  product,
  type Request,
  type RunTotal,
  type Specs,
  sum,
} from './field-price.js';
import type { Variables } from './variables.js';

const ROOT_POINTS = 1;
/** Introspection takes a small part of the time of other fields. */
const INTROSPECTION_FACTOR = 1 / 20;

/**
 * What is assumed of a stored prediction, because a price cannot know its contents. It may hold ten times as much, and an
 * operation that reads it may take ten times as long as its price says.
 */
const STORED_PREDICTION: PredictionSize = {
  inputBytes: 1_048_576,
  characters: 65_536,
  tokens: 4_096,
  labels: 4_096,
  targets: 32,
  sentences: 256,
  documents: 256,
  objects: MAX_OBJECTS,
  outputValues: 262_144,
};
const NO_PREDICTION: PredictionSize = {
  inputBytes: 0,
  characters: 0,
  tokens: 0,
  labels: 0,
  targets: 0,
  sentences: 0,
  documents: 0,
  objects: 0,
  outputValues: 0,
};
/** Of the contents of all stored predictions of a query, because the size of its answer bounds what is read and returned. */
const MAX_STORED_POINTS = 2_000;

export interface CostPlan {
  /** Fields that were planned; measures its memory. */
  readonly fields: number;
  /** Whether the operation may read `__schema` or `__type`. */
  readonly introspects: boolean;
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
  /** Of the root fields that are executed. */
  readonly roots: readonly RootCost[];
}

/** In points, not rounded. */
export interface RootCost {
  /** The name in the answer. */
  readonly name: string;
  /** Without running models. */
  readonly points: number;
  /** Of running models on `inputs`. */
  readonly runPoints: number;
  readonly inputs: number;
}

/** Plans the cost of an operation of a valid document. */
export function planCost(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode): CostPlan {
  const planner = new Planner(schema, document, operation);
  const root = schema.getRootType(operation.operation);
  const prices = root ? planner.pricesOf(root, [{ set: operation.selectionSet, condition: null }]) : [];
  const withDefaults = variablesReader(operation);
  return {
    fields: planner.fields,
    introspects: planner.introspects,
    versions: (sent) => {
      const variables = withDefaults(sent);
      return planner.versions.map((version) => version(variables));
    },
    cost: (sent, specs) => {
      const variables = withDefaults(sent);
      const total: RunTotal = { largestComputation: 0, runPoints: 0, inputs: 0 };
      const request = { variables, specs, total, pageSize: 1 };
      const roots = rootCosts(prices, { ...request, prediction: STORED_PREDICTION });
      const all = roots.reduce((sum, { points, runPoints }) => sum + points + runPoints, 0);
      // The predictions of mutations are new, and known.
      const most = operation.operation === 'query' ? mostPoints(prices, request) : all;
      const points = Math.min(all, most);
      return { requested: Math.ceil(points), limited: Math.ceil(points - total.largestComputation), roots };
    },
  };
}

function rootCosts(prices: readonly NamedPrice[], request: Request): RootCost[] {
  const roots: RootCost[] = [];
  const { total } = request;
  for (const { name, price, isExecuted } of prices) {
    if (!isExecuted(request.variables)) continue;
    const before = total.runPoints;
    total.inputs = 0;
    const points = pointsIn(price, request);
    const runPoints = total.runPoints - before;
    roots.push({ name, points: points - runPoints, runPoints, inputs: total.inputs });
  }
  return roots;
}

/** However much the stored predictions hold that a query reads. */
function mostPoints(prices: readonly NamedPrice[], request: Omit<Request, 'prediction'>): number {
  const own = rootCosts(prices, { ...request, prediction: NO_PREDICTION });
  return own.reduce((sum, { points }) => sum + points, MAX_STORED_POINTS);
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

/** The price of one field. */
interface NamedPrice {
  /** In the answer. */
  readonly name: string;
  readonly price: Price;
  readonly isExecuted: Condition;
}

class Planner {
  readonly versions: ((variables: Variables) => VersionName | null)[] = [];
  fields = 0;
  introspects = false;
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
    return sum(
      this.pricesOf(type, selected).map(({ price, isExecuted }) =>
        price === 0 || isExecuted === always
          ? price
          : (request) => (isExecuted(request.variables) ? pointsIn(price, request) : 0),
      ),
    );
  }

  /** The prices of the fields that are selected on one object, whether they are executed or not. */
  pricesOf(type: GraphQLObjectType, selected: readonly Selected[]): NamedPrice[] {
    const fields = new Map<string, MergedField>();
    for (const { set, condition } of selected) this.#collect(type, set, condition, fields);
    return Array.from(fields, ([name, field]) => {
      const price = this.#priceOfField(type, field);
      const { conditions } = field;
      const isExecuted: Condition = conditions.includes(null)
        ? always
        : (variables) => conditions.some((holds) => holds?.(variables));
      return { name, price, isExecuted };
    });
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
    this.introspects ||= meta !== undefined;
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

const always: Condition = () => true;

const META_FIELDS: Readonly<Record<string, GraphQLField<unknown, unknown>>> = {
  __schema: SchemaMetaFieldDef,
  __type: TypeMetaFieldDef,
};
