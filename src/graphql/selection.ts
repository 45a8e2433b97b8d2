/** Which fields of an object a request selects. */
import {
  type DirectiveNode,
  GraphQLIncludeDirective,
  type GraphQLResolveInfo,
  GraphQLSkipDirective,
  getDirectiveValues,
  Kind,
  type SelectionSetNode,
} from 'graphql';

/** Whether a field of this name is executed on the object that the resolver returns. Its type must not be abstract. */
export function selects(info: GraphQLResolveInfo, name: string): boolean {
  return info.fieldNodes.some(({ selectionSet }) => selectionSet && isIn(selectionSet, name, info));
}

function isIn({ selections }: SelectionSetNode, name: string, info: GraphQLResolveInfo): boolean {
  return selections.some((node) => {
    if (!isExecuted(node, info)) return false;
    if (node.kind === Kind.FIELD) return node.name.value === name;
    const fragment = node.kind === Kind.INLINE_FRAGMENT ? node : info.fragments[node.name.value];
    return fragment !== undefined && isIn(fragment.selectionSet, name, info);
  });
}

function isExecuted(node: { readonly directives?: readonly DirectiveNode[] }, { variableValues }: GraphQLResolveInfo) {
  if (!node.directives?.length) return true;
  const skip = getDirectiveValues(GraphQLSkipDirective, node, variableValues);
  const include = getDirectiveValues(GraphQLIncludeDirective, node, variableValues);
  return skip?.['if'] !== true && include?.['if'] !== false;
}
