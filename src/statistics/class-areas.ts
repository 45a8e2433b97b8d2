/** Areas under the curves of each class against the others, and their means over the classes for which they are defined. */
import { type Definition, meanOfDefined, metric, type Sample } from './metric-set.js';
import { areasOf, type ScoredClass } from './score-order.js';

/** Indices in orders of scores that are kept between samples, of all classes together: 128 MiB. */
const MAX_KEPT_INDICES = 33_554_432;

type Areas = ReturnType<typeof areasOf>;
/** `areas` computes the areas of all classes when a metric first asks for them. */
export type AreaSample = Sample & { readonly areas: () => readonly Areas[] };

export const NO_SCORES = 'The model returns labels without scores.';
const NOT_FINITE = 'A score is not a finite number.';

/** `roc_auc` and `average_precision`: macro and per class. Of two classes (`isBinary`), one `roc_auc`, that of the last class. */
export function areaMetrics<S extends AreaSample>(
  labels: readonly string[],
  { hasScores, isBinary }: { readonly hasScores: boolean; readonly isBinary: boolean },
): Definition<S>[] {
  const areaOf = (kind: keyof Areas, i: number) => (sample: S) =>
    hasScores ? (sample.areas()[i] as Areas)[kind] : NO_SCORES;
  const meanOfClasses = (kind: keyof Areas) => (sample: S) =>
    hasScores ? meanOfDefined(sample.areas().map((areas) => areas[kind])) : NO_SCORES;
  const ofClasses = (name: string, kind: keyof Areas) => [
    metric(name, meanOfClasses(kind), { average: 'macro' }),
    ...(hasScores ? labels.map((label, i) => metric(name, areaOf(kind, i), { label })) : []),
  ];
  const roc = isBinary ? [metric('roc_auc', areaOf('roc', labels.length - 1))] : ofClasses('roc_auc', 'roc');
  return [...roc, ...ofClasses('average_precision', 'precision')];
}

/** How the areas of a sample are computed; the orders of scores are kept for the next one. */
export function areasBySample(
  classes: number,
  itemCount: number,
  scoredClass: (label: number) => ScoredClass,
): (sample: Sample) => AreaSample['areas'] {
  const kept: ScoredClass[] = [];
  const isKept = classes * itemCount <= MAX_KEPT_INDICES;
  const classOf = (label: number) => {
    const scored = kept[label] ?? scoredClass(label);
    if (isKept) kept[label] = scored;
    return scored;
  };
  return (sample) => {
    let areas: readonly Areas[] | undefined;
    return () => {
      areas ??= Array.from({ length: classes }, (_, label) => finiteAreasOf(classOf(label), sample));
      return areas;
    };
  };
}

function finiteAreasOf(scored: ScoredClass, sample: Sample): Areas {
  let ordered = 0;
  for (const row of scored.order) ordered += sample.weights[row] as number;
  return ordered < sample.total ? { roc: NOT_FINITE, precision: NOT_FINITE } : areasOf(scored, sample);
}
