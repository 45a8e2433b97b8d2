/**
 * Operators that read more columns than are there, because skl2onnx leaves out those that SimpleImputer(add_indicator=True)
 * adds. ONNX Runtime reads past the row in some of them, and fails in others.
 */
import type { Node } from './graph-nodes.js';
import type { Fault, GraphView } from './graph-view.js';

export const LOST_INDICATORS: Fault = {
  isIn: (view) => view.nodes.some((node) => readsMoreThanImputed(view, node)),
  reason:
    'the graph has a SimpleImputer with add_indicator=True, whose columns of indicators skl2onnx leaves out, so that the operator after it reads columns that are not there: train with add_indicator=False, and let a column of the data say what is missing if that matters',
};

interface Width {
  readonly columns: number;
  /** Whether an Imputer has made any of them. */
  readonly isImputed: boolean;
}

function readsMoreThanImputed(view: GraphView, node: Node): boolean {
  const given = widthOf(view, node.inputs[0], MAX_DEPTH);
  if (!given?.isImputed) return false;
  const expected = columnsReadBy(view, node, given.columns);
  return !expected.includes(given.columns) && Math.max(...expected) > given.columns;
}

/** How many columns an operator may read of its first input, which has `columns`; empty if that is not known. */
function columnsReadBy(view: GraphView, node: Node, columns: number): readonly number[] {
  switch (node.op) {
    case 'LinearClassifier': {
      const coefficients = view.length(node, 'coefficients');
      // A tool may write one row for two classes.
      return view.classCount(node) === 2 ? [coefficients / 2, coefficients] : [coefficients / view.classCount(node)];
    }
    case 'LinearRegressor':
      return [view.length(node, 'coefficients') / view.int(node, 'targets', 1)];
    case 'SVMClassifier':
    case 'SVMRegressor': {
      const vectors = view.ints(node, 'vectors_per_class').reduce((sum, count) => sum + count, 0);
      const count = vectors || view.int(node, 'n_supports', 0);
      return count > 0 ? [view.length(node, 'support_vectors') / count] : [];
    }
    case 'TreeEnsembleClassifier':
    case 'TreeEnsembleRegressor':
      return [view.ints(node, 'nodes_featureids').reduce((most, id) => Math.max(most, id + 1), 0)];
    case 'MatMul':
      return view.sizes(node.inputs[1]).slice(0, -1);
    // k nearest neighbors compare with rows, naive Bayes and others with means. A column minus a list is a matrix.
    case 'Scan':
    case 'CDist':
    case 'Sub':
      return view
        .sizes(node.inputs[1])
        .slice(columns === 1 ? 1 : 0)
        .slice(-1);
    default:
      return [];
  }
}

const MAX_DEPTH = 16;

/** How many columns a value has; undefined if it is not known. */
function widthOf(view: GraphView, name: string | undefined, depth: number): Width | undefined {
  const node = view.producer(name);
  if (!node || depth === 0) return undefined;
  if (node.op === 'Imputer') {
    const columns = view.length(node, 'imputed_value_floats') + view.length(node, 'imputed_value_int64s');
    return { columns, isImputed: true };
  }
  if (node.op === 'OneHotEncoder') {
    const columns = view.length(node, 'cats_strings') + view.length(node, 'cats_int64s');
    return { columns, isImputed: false };
  }
  if (node.op === 'Scaler' || node.op === 'Normalizer') return widthOf(view, node.inputs[0], depth - 1);
  if (node.op !== 'Concat') return undefined;
  let [columns, isImputed] = [0, false];
  for (const input of node.inputs) {
    const part = widthOf(view, input, depth - 1);
    if (!part) return undefined;
    columns += part.columns;
    isImputed ||= part.isImputed;
  }
  return { columns, isImputed };
}
