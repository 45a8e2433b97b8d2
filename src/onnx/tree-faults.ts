/** Trees of HistGradientBoosting that split by categories, which skl2onnx exports as splits at 0. */
import type { Node } from './graph-nodes.js';
import type { Fault, GraphView } from './graph-view.js';

export const LOST_CATEGORIES: Fault = {
  isIn: (view) =>
    view.some('TreeEnsembleClassifier', splitsByCategory(view)) ||
    view.some('TreeEnsembleRegressor', splitsByCategory(view)),
  reason:
    'the graph has a HistGradientBoosting model with categorical_features, whose splits by category skl2onnx exports as splits at 0, so that its answers are wrong: train it without categorical_features, with OneHotEncoder or OrdinalEncoder before it',
};

/** Larger models are not checked: the maps of their nodes would need too much memory. */
const MOST_NODES = 1_000_000;

/** The nodes of all trees of an operator, each list in the same order. */
interface Nodes {
  readonly trees: readonly number[];
  readonly ids: readonly number[];
  readonly columns: readonly number[];
  /** Ids of the nodes below: of rows up to the threshold, and of those above it. Both are 0 for a leaf. */
  readonly children: readonly (readonly number[])[];
  readonly isAtZero: readonly boolean[];
  /** 1 where missing values go the way of rows up to the threshold. */
  readonly tracksMissing: readonly number[];
}

function splitsByCategory(view: GraphView): (node: Node) => boolean {
  return (node) => {
    if (!node.attributes.has('base_values') || !view.hasText(node, 'nodes_modes', 'BRANCH_LEQ')) return false;
    const nodes: Nodes = {
      trees: view.ints(node, 'nodes_treeids'),
      ids: view.ints(node, 'nodes_nodeids'),
      columns: view.ints(node, 'nodes_featureids'),
      children: [view.ints(node, 'nodes_truenodeids'), view.ints(node, 'nodes_falsenodeids')],
      isAtZero: Array.from(view.floats(node, 'nodes_values'), (value) => value === 0),
      tracksMissing: view.ints(node, 'nodes_missing_value_tracks_true'),
    };
    if (nodes.ids.length > MOST_NODES || !nodes.isAtZero.includes(true)) return false;
    return splitsAgain(nodes) || splitsCodes(nodes, codesOf(view, node.inputs[0], MAX_DEPTH).columns);
  };
}

function isSplit({ children }: Nodes, index: number): boolean {
  return children.some((side) => side[index] !== 0);
}

/** Ids of nodes are counted from 0 in each tree. */
const MOST_NODES_OF_A_TREE = 2 ** 24;

/**
 * Whether a tree splits a column at 0 once more where all rows are on one side. No tree of numbers does. It may split rows up to
 * 0 from missing values below a split of both from the rows above 0.
 */
function splitsAgain(nodes: Nodes): boolean {
  const { trees, ids, columns, children, isAtZero } = nodes;
  const keyOf = (index: number, id: number) => (trees[index] ?? 0) * MOST_NODES_OF_A_TREE + id;
  const places = new Map(ids.map((id, index) => [keyOf(index, id), index]));
  const parents = new Map<number, { readonly index: number; readonly side: number }>();
  for (const [side, list] of children.entries())
    for (const [index, id] of list.entries()) {
      const child = places.get(keyOf(index, id));
      if (child !== undefined && id !== 0) parents.set(child, { index, side });
    }
  return columns.some((column, index) => {
    if (!isAtZero[index] || !isSplit(nodes, index)) return false;
    const left = { low: true, high: true, missing: true };
    let above = parents.get(index);
    for (let step = 0; above !== undefined && step < MAX_HEIGHT; step++, above = parents.get(above.index)) {
      if (!isAtZero[above.index] || columns[above.index] !== column) continue;
      left[above.side === 0 ? 'high' : 'low'] = false;
      if (isMissingLow(nodes, above.index) !== (above.side === 0)) left.missing = false;
    }
    const isBelow = isMissingLow(nodes, index);
    return !(left.low || (left.missing && isBelow)) || !(left.high || (left.missing && !isBelow));
  });
}

/** How far up a repeated split is looked for. */
const MAX_HEIGHT = 64;

/** Whether a split sends missing values to the rows up to its threshold. */
function isMissingLow({ tracksMissing }: Nodes, index: number): boolean {
  return tracksMissing[index] === 1;
}

/** Whether all splits of a column of codes 0, 1, … are at 0. Splits of numbers are halfway between two of them. */
function splitsCodes(nodes: Nodes, isCode: readonly boolean[]): boolean {
  const areAllAtZero = new Map<number, boolean>();
  for (const [index, column] of nodes.columns.entries())
    if (isSplit(nodes, index))
      areAllAtZero.set(column, nodes.isAtZero[index] === true && areAllAtZero.get(column) !== false);
  return isCode.some((isCoded, column) => isCoded && areAllAtZero.get(column) === true);
}

const MAX_DEPTH = 8;

/** Which of the first columns of a value are codes of OrdinalEncoder. `isWhole`: these are all of its columns. */
function codesOf(
  view: GraphView,
  name: string | undefined,
  depth: number,
): { readonly columns: readonly boolean[]; readonly isWhole: boolean } {
  const node = view.producer(name);
  if (node?.op === 'LabelEncoder') return { columns: [true], isWhole: true };
  if (node?.op !== 'Concat' || depth === 0) return { columns: [], isWhole: false };
  const columns: boolean[] = [];
  for (const input of node.inputs) {
    const part = codesOf(view, input, depth - 1);
    columns.push(...part.columns);
    if (!part.isWhole) return { columns, isWhole: false };
  }
  return { columns, isWhole: true };
}
