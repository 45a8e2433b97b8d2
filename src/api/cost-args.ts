/** Reads the arguments and conditions of fields, as far as prices need them: variables are checked before, never coerced here. */
import {
  type FieldNode,
  type GraphQLField,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  type ValueNode,
  valueFromASTUntyped,
} from 'graphql';
import { type Args, LongText } from '../graphql/cost.js';
import { LIMITS } from './limits.js';
import type { Variables } from './variables.js';

export type ArgsOf = (variables: Variables) => Args;
/** Whether a selection is executed. */
export type Condition = (variables: Variables) => boolean;

/** Adds the default values of variables that were not sent, and makes each long string one object for all its places. */
export function variablesReader({ variableDefinitions = [] }: OperationDefinitionNode): (sent: Variables) => Variables {
  const defaults = variableDefinitions.flatMap(({ variable, defaultValue }): [string, unknown][] =>
    defaultValue ? [[variable.name.value, valueFromASTUntyped(defaultValue)]] : [],
  );
  if (defaults.length === 0) return withLongTexts;
  const withDefaults = Object.fromEntries(defaults);
  return (sent) => withLongTexts(merged(withDefaults, sent));
}

function withLongTexts(variables: Variables): Variables {
  const long = Object.entries(variables).filter(([, value]) => isLong(value));
  if (long.length === 0) return variables;
  return merged(variables, Object.fromEntries(long.map(([name, text]) => [name, new LongText(text as string)])));
}

/** Without a prototype, because a variable may be called `__proto__`. */
function merged(variables: Variables, others: Variables): Variables {
  return Object.assign(Object.create(null), variables, others);
}

/** Longer than all strings outside of inputs. */
function isLong(value: unknown): boolean {
  return typeof value === 'string' && value.length > LIMITS.maxStringCharacters;
}

/** The arguments of a field, with defaults of the schema for those that were not sent. */
export function argsReader(field: GraphQLField<unknown, unknown>, { arguments: given = [] }: FieldNode): ArgsOf {
  const read: [name: string, fallback: unknown, value: ((variables: Variables) => unknown) | undefined][] = [];
  for (const { name, defaultValue } of field.args) {
    const node = given.find((one) => one.name.value === name)?.value;
    read.push([name, defaultValue, node && valueReader(node)]);
  }
  if (read.length === 0) return () => NO_ARGS;
  return (variables) => {
    const args: Record<string, unknown> = {};
    for (const [name, fallback, value] of read) {
      const sent = value?.(variables);
      args[name] = sent === undefined ? fallback : sent;
    }
    return args;
  };
}

const NO_ARGS: Args = {};

function valueReader(node: ValueNode): (variables: Variables) => unknown {
  if (node.kind === Kind.VARIABLE) {
    const name = node.name.value;
    return (variables) => (Object.hasOwn(variables, name) ? variables[name] : undefined);
  }
  if (node.kind !== Kind.LIST && node.kind !== Kind.OBJECT) {
    const value = valueFromASTUntyped(node);
    return () => value;
  }
  if (node.kind === Kind.LIST) {
    const elements = node.values.map(valueReader);
    return (variables) => elements.map((element) => element(variables));
  }
  const fields = node.fields.map(({ name, value }) => [name.value, valueReader(value)] as const);
  return (variables) => Object.fromEntries(fields.map(([name, value]) => [name, value(variables)]));
}

/** When a selection is executed, given when its surroundings are; null: always. */
export function conditionOf({ directives = [] }: SelectionNode, outer: Condition | null): Condition | null {
  const conditions = directives.flatMap((directive): Condition[] => {
    const name = directive.name.value;
    const node = directive.arguments?.find((argument) => argument.name.value === 'if')?.value;
    if (!node || (name !== 'skip' && name !== 'include')) return [];
    const read = valueReader(node);
    return [(variables) => (name === 'skip' ? read(variables) !== true : read(variables) !== false)];
  });
  if (outer) conditions.push(outer);
  if (conditions.length === 0) return null;
  return (variables) => conditions.every((holds) => holds(variables));
}
