/**
 * Which values the encoders of a graph know, by column of the inputs: an encoder may fail for others, as those that
 * scikit-learn exports with handle_unknown="error" do.
 */
import type { Node } from './graph-nodes.js';
import type { GraphView } from './graph-view.js';

/** The values of a column that an encoder knows: the first of them, if there are many. */
export interface KnownCategories {
  readonly input: string;
  /** Place in the rows of the input. */
  readonly column: number;
  readonly values: readonly (string | number)[];
}

/** An example needs one of them. */
const MAX_VALUES = 16;
const MAX_COLUMNS = 10_000;
const MAX_DEPTH = 16;

const ENCODERS = new Set(['OneHotEncoder', 'LabelEncoder', 'CategoryMapper']);
const STRINGS = ['cats_strings', 'keys_strings'];
const INTEGERS = ['cats_int64s', 'keys_int64s'];

export function knownCategoriesOf(view: GraphView): KnownCategories[] {
  const found: KnownCategories[] = [];
  for (const node of view.nodes) {
    if (!ENCODERS.has(node.op) || found.length === MAX_COLUMNS) continue;
    const origin = columnOf(view, node.inputs[0], { column: 0, depth: MAX_DEPTH });
    const values = origin ? valuesOf(view, node) : [];
    if (origin && values.length > 0) found.push({ ...origin, values });
  }
  return found;
}

function valuesOf(view: GraphView, node: Node): (string | number)[] {
  const strings = STRINGS.flatMap((name) => view.texts(node, name, MAX_VALUES));
  return strings.length > 0 ? strings : INTEGERS.flatMap((name) => view.ints(node, name).slice(0, MAX_VALUES));
}

/** The column of an input that a column of a value holds; undefined if the value is computed from it, or nobody can tell. */
function columnOf(
  view: GraphView,
  name: string | undefined,
  { column, depth }: { column: number; depth: number },
): Pick<KnownCategories, 'input' | 'column'> | undefined {
  if (name === undefined || depth === 0 || view.isConstant(name)) return undefined;
  const node = view.producer(name);
  if (!node) return { input: view.sourceOf(name), column };
  if (node.op === 'ArrayFeatureExtractor' || (node.op === 'Gather' && view.int(node, 'axis', 0) === 1)) {
    const place = view.scalar(node.inputs[1]);
    return place === undefined ? undefined : columnOf(view, node.inputs[0], { column: place, depth: depth - 1 });
  }
  if (node.op !== 'Concat') return undefined;
  let first = 0;
  for (const input of node.inputs) {
    const width = view.width(view.sourceOf(input));
    if (width === undefined) return undefined;
    if (column < first + width) return columnOf(view, input, { column: column - first, depth: depth - 1 });
    first += width;
  }
  return undefined;
}
