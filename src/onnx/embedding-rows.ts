/** How many tokens the embedding of a graph knows. */
import type { GraphView } from './graph-view.js';

/** Operators that look rows up, with the places of the table and of the ids among their inputs. */
const LOOKUPS: Readonly<Record<string, { readonly table: number; readonly ids: number }>> = {
  Gather: { table: 0, ids: 1 },
  GatherBlockQuantized: { table: 0, ids: 1 },
  EmbedLayerNormalization: { table: 2, ids: 0 },
};
/** Operators that compute a table from a smaller one, row by row. */
const DEQUANTIZED = ['DequantizeLinear'];

/** The rows of the smallest table that `input_ids` is looked up in; null if there is none. */
export function embeddingRowsOf(view: GraphView): number | null {
  let rows = Infinity;
  for (const { op, inputs } of view.nodes) {
    const places = LOOKUPS[op];
    if (!places || view.sourceOf(inputs[places.ids] ?? '') !== 'input_ids') continue;
    const table = view.chain(inputs[places.table], DEQUANTIZED)?.inputs[0] ?? inputs[places.table];
    const [count] = view.sizes(view.sourceOf(table ?? ''));
    if (count !== undefined) rows = Math.min(rows, count);
  }
  return rows === Infinity ? null : rows;
}
