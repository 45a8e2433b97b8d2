/** The labels that an answer is found by in the history, where it may have several. */
import type { Answer } from '../tasks/answer.js';

/** Rows for one prediction; the labels are those of the first items. */
const MAX_LABELS = 100;

const NONE: readonly string[] = [];

/** Each once. None for a classification, whose label is in its own row. */
export function labelsOf(answer: Answer): readonly string[] {
  if (answer.kind === 'detections' || answer.kind === 'masks') return different(answer.items.map(({ label }) => label));
  if (answer.kind === 'multiClassification') return different(answer.targets.map(({ label }) => label));
  if (answer.kind !== 'tokens') return NONE;
  const { labels, spans } = answer;
  return different([...new Set(spans.SIMPLE.labels)].map((i) => labels[i] as string));
}

function different(labels: readonly string[]): string[] {
  return [...new Set(labels)].slice(0, MAX_LABELS);
}
