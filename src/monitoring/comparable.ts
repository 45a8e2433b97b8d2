/** Which versions have outcomes, and how many of them are measured. */
import { isMultiLabel } from '../tasks/scores.js';
import { answerKindOf, type VersionSpec } from '../tasks/tasks.js';

const MAX_OUTCOMES = 100_000;
/** Of all outcomes together: versions with many labels are measured on fewer outcomes. */
const MAX_SCORES = 200_000;

/** What the outcomes of a version are compared with: its labels, or numbers. */
export interface Comparable {
  /** Null for numbers. */
  readonly labels: readonly string[] | null;
}

/** Null if the answers of the version have no outcomes. */
export function comparableOf(spec: VersionSpec): Comparable | null {
  const kind = answerKindOf(spec);
  if (kind === 'regression') return { labels: null };
  const isOneOfLabels = kind === 'classification' && spec.labels.length > 0 && !isMultiLabel(spec);
  return isOneOfLabels ? { labels: spec.labels } : null;
}

/** How many outcomes are measured at most. */
export function mostOutcomes({ labels }: Comparable): number {
  return Math.min(MAX_OUTCOMES, Math.max(1, Math.floor(MAX_SCORES / (labels?.length ?? 1))));
}
