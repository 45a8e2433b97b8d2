import fc from 'fast-check';
import { isHigherBetter, metricTitle, metricUnit } from '#src/evaluation/metric-names.js';
import { bootstrapIntervals } from '#src/statistics/bootstrap.js';
import { classificationMetrics } from '#src/statistics/classification.js';
import type { ClassificationData } from '#src/statistics/classification-data.js';
import {
  calibrationCurve,
  confusionMatrix,
  MAX_CURVE_POINTS,
  precisionRecallCurve,
  rocCurve,
} from '#src/statistics/curves.js';
import { detectionMetrics } from '#src/statistics/detection.js';
import { entityMetrics } from '#src/statistics/entities.js';
import { classMapOf, UNKNOWN_PIXEL } from '#src/statistics/mask-overlap.js';
import type { Measured, MetricIdentity, MetricSet } from '#src/statistics/metric-set.js';
import { rankingMetrics } from '#src/statistics/ranking.js';
import { regressionMetrics } from '#src/statistics/regression.js';
import { spansOfTags } from '#src/statistics/tag-spans.js';
import {
  type ClassificationGolden,
  classificationData,
  type EntityGolden,
  METRIC_SETS,
  readGoldens,
} from './goldens.js';

const TOLERANCE = 1e-9;

function keyOf({ name, average, label }: Pick<Measured, 'name' | 'average' | 'label'>): string {
  return JSON.stringify([name, average, label]);
}

function isNear(value: number | null, expected: number | null): boolean {
  if (value === null || expected === null) return value === expected;
  return Math.abs(value - expected) <= TOLERANCE * Math.max(1, Math.abs(expected));
}

function differences(measured: readonly Measured[], expected: ReadonlyMap<string, number | null>): string[] {
  return measured.flatMap((one) => {
    const value = expected.get(keyOf(one));
    if (value === undefined) return [];
    return isNear(one.value, value) ? [] : [`${keyOf(one)} is ${one.value ?? one.undefinedReason}, not ${value}`];
  });
}

function valuesOf(measured: readonly Measured[]): Map<string, number | null> {
  return new Map(measured.map((one) => [keyOf(one), one.value]));
}

test.each(Object.keys(METRIC_SETS))('metrics of %s are those of the reference implementations', (task) => {
  const cases = METRIC_SETS[task]?.() ?? [];
  const wrong = cases.flatMap(({ name, metrics, set }) => {
    const measured = set.measure();
    const expected = new Map(
      metrics.map(([metric, average, label, value]) => [JSON.stringify([metric, average, label]), value]),
    );
    const missing = [...expected.keys()].filter((key) => !measured.some((one) => keyOf(one) === key));
    return [...missing, ...differences(measured, expected)].map((text) => `${name}: ${text}`);
  });

  expect(cases.length).toBeGreaterThanOrEqual(16);
  expect(wrong).toEqual([]);
});

test('there are at least 200 goldens', () => {
  const cases = Object.entries(METRIC_SETS).filter(
    ([task]) => !['similarity', 'entities of characters'].includes(task),
  );

  expect(cases.reduce((sum, [, read]) => sum + read().length, 0)).toBeGreaterThanOrEqual(200);
});

test('every metric has a finite value or the reason why it has none, also where the goldens say nothing', () => {
  const all = Object.values(METRIC_SETS).flatMap((read) => read().flatMap(({ set }) => set.measure()));

  const wrong = all.filter(({ value, undefinedReason }) =>
    value === null ? !undefinedReason?.endsWith('.') : undefinedReason !== null || !Number.isFinite(value),
  );

  expect(wrong).toEqual([]);
});

test('a sample has the metrics of its items alone, in any order and as often as they occur', () => {
  const { labels, truth, predicted, scores } = classificationData(
    readGoldens<ClassificationGolden>('classification').find(
      ({ name }) => name === 'tied scores, 3 classes, 40 items',
    ) as ClassificationGolden,
  );
  const set = classificationMetrics({ labels, truth, predicted, scores });
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 39 }), { maxLength: 60 }), (items) => {
      const rows = (values: Float64Array | Int32Array, width: number) =>
        items.flatMap((item) => [...values.subarray(item * width, (item + 1) * width)]);
      const copied = classificationMetrics({
        labels,
        truth: Int32Array.from(rows(truth, 1)),
        predicted: Int32Array.from(rows(predicted, 1)),
        scores: Float64Array.from(rows(scores as Float64Array, 3)),
      });

      expect(differences(set.measure(items), valuesOf(copied.measure()))).toEqual([]);
      expect(set.measure(items.toReversed())).toEqual(set.measure(items));
    }),
    { numRuns: 100 },
  );
});

test('the metrics of a set get their intervals from the same resamples', () => {
  const golden = readGoldens<ClassificationGolden>('classification').find(
    ({ name }) => name === 'plain scores, 2 classes, 40 items',
  ) as ClassificationGolden;
  const set = classificationMetrics(classificationData(golden));
  const wanted = ({ name, average }: MetricIdentity) => name === 'roc_auc' || (name === 'f1' && average === 'macro');

  const intervals = bootstrapIntervals(
    (items) => set.measure(items, wanted).map(({ value }) => value),
    { count: set.itemCount, groups: null },
    { seed: 'metrics', resamples: 500 },
  );

  const measured = set.measure(undefined, wanted);
  expect(intervals.length).toBe(measured.length);
  for (const [i, { interval }] of intervals.entries()) {
    expect(interval?.low).toBeLessThan(measured[i]?.value as number);
    expect(interval?.high).toBeGreaterThan(measured[i]?.value as number);
  }
});

const count = fc.integer({ min: -3, max: 3 });

test.each<[string, fc.Arbitrary<unknown>, (items: never[]) => MetricSet]>([
  [
    'regression',
    fc.tuple(count, count),
    (items: [number, number][]) =>
      regressionMetrics({
        truth: Float64Array.from(items, ([truth]) => truth),
        predicted: Float64Array.from(items, ([, predicted]) => predicted),
        quantile: 0.9,
      }),
  ],
  [
    'detection',
    fc.record({
      truth: fc.array(boxes({ isCrowd: fc.boolean() })),
      found: fc.array(boxes({ score: fc.double({ min: 0, max: 1, noNaN: true }) })),
    }),
    (images: never[]) => detectionMetrics({ labels: ['a', 'b'], images }),
  ],
  ['ranking', rankedQueries(), (queries: never[]) => rankingMetrics(queries, 3)],
  ['entities', fc.record({ truth: tagSpans(), predicted: tagSpans() }), (texts: never[]) => entityMetrics(texts)],
])('samples of %s have the metrics of copies', (_, item, setOf) => {
  const cases = fc
    .array(item, { minLength: 1, maxLength: 8 })
    .chain((items) => fc.tuple(fc.constant(items), fc.array(fc.nat({ max: items.length - 1 }), { maxLength: 12 })));
  fc.assert(
    fc.property(cases, ([items, sample]) => {
      // In the order of the items: it decides between detections with equal scores.
      const sorted = sample.toSorted((a, b) => a - b);

      const measured = setOf(items as never[]).measure(sample);
      const copied = setOf(sorted.map((i) => items[i] as never)).measure();

      expect(differences(measured, valuesOf(copied))).toEqual([]);
    }),
    { numRuns: 100 },
  );
});

function boxes<T>(more: { [K in keyof T]: fc.Arbitrary<T[K]> }) {
  const edge = fc.integer({ min: 0, max: 6 });
  const box = fc.tuple(edge, edge).map(([xmin, ymin]) => ({ xmin, ymin, xmax: xmin + 4, ymax: ymin + 4 }));
  return fc.record({ label: fc.nat({ max: 1 }), box, ...more });
}

function rankedQueries() {
  return fc
    .array(fc.tuple(fc.nat({ max: 2 }), count), { minLength: 1, maxLength: 6 })
    .map((rows) => ({ relevance: rows.map(([value]) => value), scores: rows.map(([, score]) => score) }));
}

function tagSpans() {
  return fc.array(fc.constantFrom('O', 'B-a', 'I-a', 'B-b', 'I-b'), { maxLength: 5 }).map(spansOfTags);
}

test('only wanted metrics are measured', () => {
  const set = regressionMetrics({ truth: Float64Array.of(1, 2), predicted: Float64Array.of(1, 3), quantile: null });

  expect(set.measure(undefined, ({ name }) => name === 'mae')).toEqual([
    { name: 'mae', average: null, label: null, higherIsBetter: false, value: 0.5, undefinedReason: null },
  ]);
});

test('numbers that are not finite make a metric undefined, not NaN', () => {
  const regression = regressionMetrics({
    truth: Float64Array.of(1, 2, 1e300),
    predicted: Float64Array.of(Number.NaN, Number.POSITIVE_INFINITY, -1e300),
    quantile: 0.5,
  });
  const scores = Float64Array.of(0.1, Number.NaN, 0.7, 0.3);
  const [truth, predicted] = [Int32Array.of(0, 1), Int32Array.of(0, 1)];
  const classification = classificationMetrics({ labels: ['a', 'b'], truth, predicted, scores });

  expect(regression.measure([0]).map(({ value }) => value)).toEqual([null, null, null, null, null, null]);
  expect(regression.measure([2]).find(({ name }) => name === 'rmse')).toMatchObject({
    value: null,
    undefinedReason: 'A prediction or a true value is not a finite number, or the result is too large.',
  });
  expect(classification.measure().find(({ name }) => name === 'roc_auc')).toMatchObject({
    value: null,
    undefinedReason: 'A score is not a finite number.',
  });
  expect(classification.measure([1]).find(({ name }) => name === 'log_loss')?.value).toBeCloseTo(-Math.log(0.3), 12);
});

test.each<[string, () => unknown]>([
  ['index 2 is not that of one of 2 items', () => classificationMetrics(TWO).measure([2])],
  ['index 0.5 is not that of one of 2 items', () => classificationMetrics(TWO).measure([0.5])],
  ['predicted has 1 values where 2 are expected', () => classificationMetrics({ ...TWO, predicted: Int32Array.of(0) })],
  ['class 2 is not one of 2 labels', () => classificationMetrics({ ...TWO, truth: Int32Array.of(0, 2) })],
  [
    'quantile 1 is not between 0 and 1',
    () => regressionMetrics({ truth: new Float64Array(1), predicted: new Float64Array(1), quantile: 1 }),
  ],
  ['relevance -1 is negative', () => rankingMetrics([{ relevance: [-1], scores: [0] }], 1)],
  ['k 0 is not a positive integer', () => rankingMetrics([], 0)],
  ['a mask has more than 4 pixels', () => classMapOf(4, [{ label: 0, runLengths: Uint32Array.of(3, 2) }])],
  ['a query has 1 documents and 2 scores', () => rankingMetrics([{ relevance: [1], scores: [0, 1] }], 1)],
])('%s', (message, act) => {
  expect(act).toThrow(new RangeError(message));
});

const TWO: ClassificationData = {
  labels: ['a', 'b'],
  truth: Int32Array.of(0, 1),
  predicted: Int32Array.of(0, 1),
  scores: null,
};

test('tags are read as seqeval reads them', () => {
  const wrong = readGoldens<EntityGolden>('entities').flatMap(({ texts, spans }) =>
    texts.flatMap((pair, text) =>
      pair.filter((tags, side) => {
        const read = spansOfTags(tags).map(({ label, start, end }) => [label, start, end]);
        return JSON.stringify(read) !== JSON.stringify(spans[text]?.[side]);
      }),
    ),
  );

  expect(wrong).toEqual([]);
});

test('masks of classes become a map of classes', () => {
  const masks = [
    { label: 1, runLengths: Uint32Array.of(1, 2, 2, 1) },
    { label: 0, runLengths: Uint32Array.of(0, 1) },
  ];

  expect([...classMapOf(7, masks)]).toEqual([0, 1, 1, UNKNOWN_PIXEL, UNKNOWN_PIXEL, 1, UNKNOWN_PIXEL]);
});

describe('curves', () => {
  const cases = readGoldens<ClassificationGolden>('classification');

  test('are those of scikit-learn', () => {
    const wrong = cases.flatMap((golden) =>
      (golden.curves ?? []).flatMap(({ label, roc, pr, calibration }) => {
        const data = classificationData(golden);
        const rocPoints = rocCurve(data, label);
        const prPoints = precisionRecallCurve(data, label);
        const bins = calibrationCurve(data, label);
        return [
          areNear(
            rocPoints.map(({ x }) => x),
            roc[0],
          ),
          areNear(
            rocPoints.map(({ y }) => y),
            roc[1],
          ),
          JSON.stringify(rocPoints.map(({ threshold }) => threshold)) === JSON.stringify(roc[2]),
          areNear(
            prPoints.map(({ x }) => x),
            pr[0],
          ),
          areNear(
            prPoints.map(({ y }) => y),
            pr[1],
          ),
          areNear(
            bins.map(({ meanProbability }) => meanProbability),
            calibration[0],
          ),
          areNear(
            bins.map(({ rate }) => rate),
            calibration[1],
          ),
        ].flatMap((isRight, i) => (isRight ? [] : [`${golden.name}: curve ${i} of class ${label}`]));
      }),
    );

    expect(cases.filter(({ curves }) => curves && curves.length > 0).length).toBeGreaterThan(10);
    expect(wrong).toEqual([]);
  });

  function areNear(values: number[], expected: number[]): boolean {
    return values.length === expected.length && values.every((value, i) => isNear(value, expected[i] as number));
  }

  test('confusion matrices are those of scikit-learn', () => {
    const wrong = cases.filter((golden) => {
      const cells = confusionMatrix(classificationData(golden));
      const dense = golden.confusion.map((row) => row.map(() => 0));
      for (const { truth, predicted, count } of cells) (dense[truth] as number[])[predicted] = count;
      return JSON.stringify(dense) !== JSON.stringify(golden.confusion);
    });

    expect(wrong).toEqual([]);
  });

  test('of many items have at most 1,000 points, the first and the last among them, and stay close to the curve', () => {
    const items = 20_000;
    const truth = Int32Array.from({ length: items }, (_, i) => Number((i * 7_919) % 13 < 5));
    const scores = Float64Array.from({ length: 2 * items }, (_, i) => ((i * 48_271) % 65_521) / 65_521);
    const data = { labels: ['a', 'b'], truth, predicted: truth, scores };
    const exact = classificationMetrics(data)
      .measure(undefined, ({ name }) => name === 'roc_auc')
      .at(0)?.value as number;

    const points = rocCurve(data, 1);
    const recalls = precisionRecallCurve(data, 1);

    const area = points.slice(1).reduce((sum, { x, y }, i) => {
      const before = points[i] as (typeof points)[number];
      return sum + ((x - before.x) * (y + before.y)) / 2;
    }, 0);
    expect(points.length).toBeLessThanOrEqual(MAX_CURVE_POINTS);
    expect(points.length).toBeGreaterThan(500);
    expect(points.at(0)).toEqual({ x: 0, y: 0, threshold: null });
    expect(points.at(-1)).toMatchObject({ x: 1, y: 1 });
    expect(Math.abs(area - exact)).toBeLessThan(0.001);
    expect(recalls.length).toBeLessThanOrEqual(MAX_CURVE_POINTS);
    expect(recalls.at(0)).toEqual({ x: 0, y: 1, threshold: null });
    expect(recalls.at(-1)?.x).toBe(1);
  });

  test('are empty if they are undefined', () => {
    const data: ClassificationData = {
      ...TWO,
      truth: Int32Array.of(0, 0),
      scores: Float64Array.of(0.5, 0.5, 0.5, 0.5),
    };

    expect(rocCurve(data, 0)).toEqual([]);
    expect(precisionRecallCurve(data, 1)).toEqual([]);
    expect(() => rocCurve(TWO, 0)).toThrow('a model that returns labels only has no scores');
  });
});

test('metrics have titles, and those that model cards state, too, are better in the same direction', () => {
  const measured = Object.values(METRIC_SETS).flatMap((read) => read().flatMap(({ set }) => set.measure()));

  const titles = new Set(measured.map(({ name }) => metricTitle(name, null)));
  const contrary = measured.filter(({ name, higherIsBetter }) => isHigherBetter(name) !== higherIsBetter);

  expect([...titles].filter((title) => /^[a-z]|_/.test(title))).toEqual([]);
  expect([...titles]).toEqual(
    expect.arrayContaining(['NDCG@10', 'Pinball loss (quantile 0.9)', 'Expected calibration error']),
  );
  expect(new Set(contrary.map(({ name }) => name))).toEqual(new Set());
  expect([metricUnit('pinball_loss_0.9', 'g'), metricUnit('mape', 'g')]).toEqual(['g', null]);
});
