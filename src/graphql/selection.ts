/** Which fields of an object a request selects. */
import {
  type DirectiveNode,
  type FieldNode,
  GraphQLIncludeDirective,
  type GraphQLResolveInfo,
  GraphQLSkipDirective,
  getDirectiveValues,
  Kind,
  type SelectionSetNode,
} from 'graphql';

/**
 * Whether a field is executed on the object that the resolver returns, and on it one of the next name, and so on. None of
 * their types may be abstract.
 */
export function selects(info: GraphQLResolveInfo, ...names: readonly [string, ...string[]]): boolean {
  return info.fieldNodes.some((node) => isBelow(node, names, info));
}

function isBelow({ selectionSet }: FieldNode, [name, ...below]: readonly string[], info: GraphQLResolveInfo): boolean {
  return name === undefined || (selectionSet !== undefined && isIn(selectionSet, name, below, info));
}

function isIn(
  { selections }: SelectionSetNode,
  name: string,
  below: readonly string[],
  info: GraphQLResolveInfo,
): boolean {
  return selections.some((node) => {
    if (!isExecuted(node, info)) return false;
    if (node.kind === Kind.FIELD) return node.name.value === name && isBelow(node, below, info);
    const fragment = node.kind === Kind.INLINE_FRAGMENT ? node : info.fragments[node.name.value];
    return fragment !== undefined && isIn(fragment.selectionSet, name, below, info);
  });
}

function isExecuted(node: { readonly directives?: readonly DirectiveNode[] }, { variableValues }: GraphQLResolveInfo) {
  if (!node.directives?.length) return true;
  const skip = getDirectiveValues(GraphQLSkipDirective, node, variableValues);
  const include = getDirectiveValues(GraphQLIncludeDirective, node, variableValues);
  return skip?.['if'] !== true && include?.['if'] !== false;
}
