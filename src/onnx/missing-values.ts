/**
 * Columns of which missing values reach trees that send them to the same side at every split. skl2onnx writes the trees of
 * scikit-learn so, whatever they have learned about missing values.
 */
import type { Node } from './graph-nodes.js';
import type { GraphView } from './graph-view.js';

export interface LostMissing {
  readonly input: string;
  /** Place in the rows of the input; null for all columns, or if nobody can tell which. */
  readonly column: number | null;
}

/** Operators of whose result a part is missing if that of their input is. */
const PASSED = new Set(['Scaler', 'Sub', 'Div', 'Mul', 'Add', 'Concat']);
const SELECTIONS = new Set(['ArrayFeatureExtractor', 'Gather']);
/** Values of a graph that are looked at; a graph with more is not of rows of columns. */
const MAX_VALUES = 10_000;

export function lostMissingOf(view: GraphView): LostMissing[] {
  const trees = view.nodes.filter((node) => sendsToOneSide(view, node));
  const found = new Map<string, LostMissing>();
  const seen = new Set<string>();
  const queue = trees.map((node) => ({ name: view.sourceOf(node.inputs[0] ?? ''), column: null as number | null }));
  for (let next = queue.pop(); next && seen.size < MAX_VALUES; next = queue.pop()) {
    const { name, column } = next;
    const key = `${column} ${name}`;
    if (seen.has(key) || view.isConstant(name)) continue;
    seen.add(key);
    const node = view.producer(name);
    if (!node) found.set(key, { input: name, column });
    else if (SELECTIONS.has(node.op)) {
      const places = view.values(node.inputs[1]);
      const source = view.sourceOf(node.inputs[0] ?? '');
      for (const place of places.length > 0 ? places : [null]) queue.push({ name: source, column: place });
    } else if (PASSED.has(node.op))
      queue.push(...node.inputs.map((input) => ({ name: view.sourceOf(input), column: null })));
  }
  return [...found.values()];
}

function sendsToOneSide(view: GraphView, node: Node): boolean {
  if (node.op !== 'TreeEnsembleClassifier' && node.op !== 'TreeEnsembleRegressor') return false;
  // Trees of boosted models have a base value, but those of LightGBM, which learn a side for each split.
  if (node.attributes.has('base_values') || !view.hasText(node, 'nodes_modes', 'BRANCH_LEQ')) return false;
  return !view.ints(node, 'nodes_missing_value_tracks_true').includes(1);
}
