/** Preprocessing and examples for tasks that read a row of columns, a time series or tensors. */
import type { TensorData } from './datatypes.js';
import type { AnyItem } from './define-input.js';
import { preprocessRow, type RowItem, rowExamples, rowInput } from './row.js';
import { preprocessSeries, type SeriesItem, seriesExamples, seriesInput } from './series.js';
import type { AnySpec, Example } from './spec.js';
import { type TensorsItem, tensorExamples, tensorsInput } from './tensors.js';

/** In order of preference: a version accepts the first kind that fits its columns and its graph, and tensors. */
export const TABULAR_INPUTS = [rowInput, seriesInput, tensorsInput] as const;

type TabularItem = RowItem | SeriesItem | TensorsItem;

export function isTabular<Item extends AnyItem>(item: Item | TabularItem): item is TabularItem {
  return TABULAR_INPUTS.some(({ key }) => key === item.kind);
}

export function preprocessTabular(item: TabularItem, spec: AnySpec): readonly TensorData[] {
  if (item.kind === 'row') return preprocessRow(item, spec);
  return item.kind === 'series' ? preprocessSeries(item, spec) : item.tensors;
}

/** @throws ManifestError if the graph needs an example that is too large to generate */
export function tabularExamples(spec: AnySpec): Example[] {
  if (rowInput.accepts?.(spec)) return rowExamples(spec);
  return seriesInput.accepts?.(spec) ? seriesExamples(spec) : tensorExamples(spec);
}
