/**
 * Documents generated from the schema: mostly valid, so that they reach the resolvers, with occasional mistakes.
 */
import {
  type GraphQLArgument,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import { below, list, pick, type Random } from '../../support/seeded-random.ts';
import { oddJson, oddNumber, oddWord } from './values.ts';

/** Ids, cursors and names that the server itself returned, so that they exist. */
export interface Harvest {
  readonly ids: readonly string[];
  readonly cursors: readonly string[];
  readonly names: readonly string[];
}

export interface Operation {
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

const ALIASES = ['a', 'b', 'nodes', 'name', 'constructor', '__proto__', 'toString', '_', 'edges'];
const LONGEST_LIST = 3;
/** Largest number of selections in a document; most documents are small, so that many can be sent. */
const SIZES = [5, 10, 10, 60];

/** Generates a document. Half of them are valid; the others contain deliberate mistakes. */
/** After a first API key, the fuzzer would be refused. */
const LOCKS_OUT = 'createApiKey';
const ODD = [0, 0.02];

export function growDocument(random: Random, schema: GraphQLSchema, harvest: Harvest): Operation {
  return new Grower(random, schema, harvest).operation();
}

class Grower {
  readonly #random: Random;
  readonly #schema: GraphQLSchema;
  readonly #harvest: Harvest;
  readonly #fragments: string[] = [];
  #aliases = 0;
  readonly #variables = new Map<string, { type: string; value: unknown }>();
  /** Probability of a mistake at each place. */
  readonly #odd: number;
  /** Decreases with every selection, so that every document ends. */
  #budget: number;

  constructor(random: Random, schema: GraphQLSchema, harvest: Harvest) {
    this.#random = random;
    this.#schema = schema;
    this.#harvest = harvest;
    this.#odd = pick(random, ODD);
    this.#budget = below(random, pick(random, SIZES));
  }

  operation(): Operation {
    const isMutation = this.#random() < 0.25;
    const root = isMutation ? this.#schema.getMutationType() : this.#schema.getQueryType();
    const body = this.#selections(root as GraphQLNamedType, 2 + below(this.#random, 10));
    const declared = Array.from(this.#variables, ([name, { type }]) => `$${name}: ${type}`).join(', ');
    const head = isMutation ? 'mutation' : 'query';
    return {
      query: `${head} Q${declared && `(${declared})`} ${this.#isOdd() ? this.#directive() : ''} ${body}\n${this.#fragments.join('\n')}`,
      variables: Object.fromEntries(Array.from(this.#variables, ([name, { value }]) => [name, value])),
    };
  }

  #is(chance: number): boolean {
    return this.#random() < chance;
  }

  #isOdd(): boolean {
    return this.#is(this.#odd);
  }

  #selections(type: GraphQLNamedType, depth: number): string {
    const parts = [
      this.#selection(type, depth),
      ...list(this.#random, Math.min(3, Math.max(0, this.#budget)), () => this.#selection(type, depth)),
    ];
    return `{ ${parts.join(' ')} }`;
  }

  #selection(type: GraphQLNamedType, depth: number): string {
    this.#budget--;
    if (this.#isOdd()) return 'doesNotExist';
    if (this.#is(0.08)) return this.#fragment(type, depth);
    if (!isObjectType(type) && !isInterfaceType(type)) return isAbstractType(type) ? this.#narrow(type, depth) : '';
    if (isInterfaceType(type) && this.#is(0.5)) return this.#narrow(type, depth);
    const fields = Object.values(type.getFields()).filter(({ name }) => name !== LOCKS_OUT);
    const leaves = fields.filter((field) => isLeafType(getNamedType(field.type)));
    const field = pick(this.#random, (depth <= 0 || this.#budget < 0) && leaves.length > 0 ? leaves : fields);
    const named = getNamedType(field.type);
    const isDeep = isCompositeType(named) !== this.#isOdd();
    const inner = isDeep ? this.#inner(named, depth) : '';
    return `${this.#alias()}${field.name}${this.#arguments(field.args)}${this.#directives()} ${inner}`;
  }

  /** An alias, since the same name twice would usually be a conflict. */
  #alias(): string {
    if (this.#isOdd()) return '';
    return `${this.#is(0.02) ? pick(this.#random, ALIASES) : `a${++this.#aliases}`}: `;
  }

  #inner(type: GraphQLNamedType, depth: number): string {
    return depth < -3 || !isCompositeType(type) ? '{ __typename }' : this.#selections(type, depth - 1);
  }

  /** Narrows an interface or union to a member, and sometimes to an impossible type. */
  #narrow(type: GraphQLNamedType, depth: number): string {
    const members = isAbstractType(type) && !this.#isOdd() ? this.#schema.getPossibleTypes(type) : this.#composites();
    const member = pick(this.#random, members);
    return `... on ${member.name}${this.#directives()} ${this.#inner(member, depth)}`;
  }

  #composites() {
    return Object.values(this.#schema.getTypeMap()).filter(isCompositeType);
  }

  #fragment(type: GraphQLNamedType, depth: number): string {
    if (this.#is(0.5)) return `...${this.#directives()} ${this.#inner(type, depth)}`;
    const known = this.#fragments.length;
    // Sometimes a fragment that does not exist, or the enclosing one, which makes a cycle.
    if (this.#isOdd()) return `...F${below(this.#random, known + 2)}`;
    this.#fragments.push('');
    this.#fragments[known] = `fragment F${known} on ${type.name} ${this.#selections(type, depth - 1)}`;
    return `...F${known}`;
  }

  #directives(): string {
    return this.#is(0.04) ? this.#directive() : '';
  }

  #directive(): string {
    const name = pick(this.#random, this.#isOdd() ? ['deprecated', 'nope', 'defer'] : ['include', 'skip']);
    const condition = this.#isOdd() ? oddLiteral(this.#random) : this.#value(undefined, '');
    return ` @${name}(if: ${condition})`.repeat(this.#isOdd() ? 2 : 1);
  }

  #arguments(args: readonly GraphQLArgument[]): string {
    const given = args.filter(({ type }) => (isNonNullType(type) ? !this.#isOdd() : this.#is(0.4)));
    const texts = given.map(({ name, type }) => `${name}: ${this.#value(type, name)}`);
    if (this.#isOdd()) texts.push(`more: ${oddLiteral(this.#random)}`);
    return texts.length > 0 ? `(${texts.join(', ')})` : '';
  }

  /** A literal or a variable; without a type, a Boolean for a directive. */
  #value(type: GraphQLInputType | undefined, name: string): string {
    if (!this.#is(0.1)) return type ? this.#literal(type, name) : String(this.#is(0.5));
    const variable = `v${this.#variables.size}`;
    const declared = !this.#isOdd() ? String(type ?? 'Boolean!') : pick(this.#random, ['Int', '[JSON]', 'Model', 'X']);
    const value = type ? jsonOf(this.#literal(type, name)) : this.#is(0.5);
    this.#variables.set(variable, {
      type: declared,
      value: this.#is(0.9) || this.#odd === 0 ? value : oddJson(this.#random),
    });
    return `$${variable}`;
  }

  #literal(type: GraphQLInputType, name: string): string {
    if (this.#isOdd()) return oddLiteral(this.#random);
    if (isNonNullType(type)) return this.#literal(type.ofType, name);
    if (isListType(type)) {
      if (this.#is(0.1)) return this.#literal(type.ofType, name);
      const longest = this.#is(0.01) ? 150 : LONGEST_LIST;
      return `[${list(this.#random, longest, () => this.#literal(type.ofType, name)).join(', ')}]`;
    }
    if (isEnumType(type)) return pick(this.#random, type.getValues()).name;
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields());
      const chosen = type.isOneOf
        ? [pick(this.#random, fields)]
        : fields.filter((field) => isNonNullType(field.type) || this.#is(0.4));
      return `{ ${chosen.map((field) => `${field.name}: ${this.#literal(field.type, field.name)}`).join(', ')} }`;
    }
    return this.#scalar(type.name, name);
  }

  #scalar(type: string, name: string): string {
    if (type === 'Int' || type === 'SafeInt') {
      const number = Math.trunc(oddNumber(this.#random));
      const isInt = Math.abs(number) < 2 ** 31 || this.#isOdd();
      return String(isInt && this.#is(0.3) ? number : 1 + below(this.#random, 12));
    }
    if (type === 'Float') return String(oddNumber(this.#random));
    if (type === 'Boolean') return String(this.#is(0.5));
    if (type === 'JSON' || type === 'JSONObject') return oddLiteral(this.#random);
    if (type === 'DateTime') return quoted(!this.#isOdd() ? '2026-11-23T18:15:48.000Z' : oddWord(this.#random));
    const { ids, cursors, names } = this.#harvest;
    const known = type === 'ID' ? ids : name === 'after' ? cursors : names;
    const text = this.#is(0.8) ? this.#dented(pick(this.#random, known)) : oddWord(this.#random);
    return quoted(this.#isOdd() ? text : text.toWellFormed());
  }

  /** The text, sometimes with one character changed. */
  #dented(text: string): string {
    if (this.#is(0.85)) return text;
    const at = below(this.#random, text.length + 1);
    return text.slice(0, at) + oddWord(this.#random).slice(0, 2) + text.slice(at + below(this.#random, 2));
  }
}

function oddLiteral(random: Random): string {
  const kind = below(random, 8);
  if (kind === 0) return 'null';
  if (kind === 1) return String(oddNumber(random));
  if (kind === 2) return `{ ${list(random, 3, () => `a${below(random, 9)}: ${oddLiteral(random)}`).join(', ')} }`;
  if (kind === 3) return `[${list(random, 3, () => oddLiteral(random)).join(', ')}]`;
  if (kind === 4)
    return pick(random, ['true', 'false', 'ENUM', '__proto__', '$nowhere', '"""block"""', '1e999', quoted('\ud800')]);
  return quoted(oddWord(random).toWellFormed());
}

/** A string literal; GraphQL's escapes are those of JSON. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

/** Parses literals that are JSON; others, such as enum values, become strings, which is one more kind of mistake. */
function jsonOf(literal: string): unknown {
  try {
    return JSON.parse(literal.replaceAll(/([{,]\s*)(\w+):/g, '$1"$2":'));
  } catch {
    return literal;
  }
}
