/** The goldens of `goldens.py` as metric sets. */
import { readFileSync } from 'node:fs';
import { answerMetrics } from '#src/statistics/answers.js';
import type { FoundBox, TrueBox } from '#src/statistics/box-matching.js';
import { classificationMetrics } from '#src/statistics/classification.js';
import type { ClassificationData } from '#src/statistics/classification-data.js';
import { type DetectionImage, detectionMetrics } from '#src/statistics/detection.js';
import { entityMetrics } from '#src/statistics/entities.js';
import { maskMetrics, overlapsOf } from '#src/statistics/mask-overlap.js';
import type { MetricSet } from '#src/statistics/metric-set.js';
import { multiLabelMetrics } from '#src/statistics/multi-label.js';
import { rankingMetrics } from '#src/statistics/ranking.js';
import { regressionMetrics, similarityMetrics } from '#src/statistics/regression.js';
import { type Span, spansOfTags } from '#src/statistics/tag-spans.js';

/** Name, average, label and value. */
export type GoldenMetric = [string, string | null, string | null, number | null];

export interface ClassificationGolden {
  readonly name: string;
  readonly labels: string[];
  readonly truth: number[];
  readonly predicted: number[];
  readonly scores: number[] | null;
  readonly metrics: GoldenMetric[];
  readonly confusion: number[][];
  readonly curves?: {
    readonly label: number;
    readonly roc: [number[], number[], (number | null)[]];
    readonly pr: [number[], number[]];
    readonly calibration: [number[], number[]];
  }[];
}

interface Golden {
  readonly name: string;
  readonly metrics: GoldenMetric[];
}

export interface EntityGolden extends Golden {
  readonly texts: [string[], string[]][];
  readonly spans: [string, number, number][][][];
}

type BoxRow = [label: number, x: number, y: number, width: number, height: number, more: number];

export function readGoldens<T extends Golden>(name: string): T[] {
  return JSON.parse(readFileSync(`test/statistics/goldens/${name}.json`, 'utf8'));
}

export function classificationData({ labels, truth, predicted, scores }: ClassificationGolden): ClassificationData {
  return {
    labels,
    truth: Int32Array.from(truth),
    predicted: Int32Array.from(predicted),
    scores: scores && Float64Array.from(scores),
  };
}

export function imagesOf(images: [BoxRow[], BoxRow[]][]): DetectionImage[] {
  return images.map(([truth, found]) => ({
    truth: truth.map((row): TrueBox & { label: number } => ({ ...boxOf(row), isCrowd: row[5] === 1 })),
    found: found.map((row): FoundBox & { label: number } => ({ ...boxOf(row), score: row[5] })),
  }));
}

function boxOf([label, x, y, width, height]: BoxRow) {
  return { label, box: { xmin: x, ymin: y, xmax: x + width, ymax: y + height } };
}

/** Spans of characters of a text whose words are the tokens, with one space between them. */
export function characterSpans(tags: readonly string[]): Span[] {
  const words = tags.map((_, i) => 'x'.repeat(1 + (i % 4)));
  const startOf = (token: number) => words.slice(0, token).reduce((sum, word) => sum + word.length + 1, 0);
  return spansOfTags(tags).map(({ label, start, end }) => ({ label, start: startOf(start), end: startOf(end) - 1 }));
}

/** For each task: how a golden becomes a metric set. */
export const METRIC_SETS: Readonly<Record<string, () => readonly (Golden & { readonly set: MetricSet })[]>> = {
  classification: () =>
    setsOf<ClassificationGolden>('classification', (one) => classificationMetrics(classificationData(one))),
  'several labels': () =>
    setsOf<ClassificationGolden & { itemCount: number }>('multi-label', ({ labels, itemCount, ...arrays }) =>
      multiLabelMetrics({
        labels,
        itemCount,
        truth: Uint8Array.from(arrays.truth),
        predicted: Uint8Array.from(arrays.predicted),
        scores: arrays.scores && Float64Array.from(arrays.scores),
      }),
    ),
  regression: () =>
    setsOf<Golden & { truth: number[]; predicted: number[]; quantile: number }>('regression', (one) =>
      regressionMetrics({
        truth: Float64Array.from(one.truth),
        predicted: Float64Array.from(one.predicted),
        quantile: one.quantile,
      }),
    ),
  similarity: () =>
    setsOf<Golden & { truth: number[]; predicted: number[] }>('regression', (one) =>
      similarityMetrics({ truth: Float64Array.from(one.truth), predicted: Float64Array.from(one.predicted) }),
    ).map((one) => ({ ...one, metrics: one.metrics.filter(([name]) => name === 'spearman_correlation') })),
  detection: () =>
    setsOf<Golden & { labels: string[]; images: [BoxRow[], BoxRow[]][] }>('detection', ({ labels, images }) =>
      detectionMetrics({ labels, images: imagesOf(images) }),
    ),
  'entities of tokens': () => entitySets(spansOfTags),
  'entities of characters': () => entitySets(characterSpans),
  answers: () =>
    setsOf<Golden & { questions: [string[], string | null][] }>('answers', ({ questions }) =>
      answerMetrics(questions.map(([truth, predicted]) => ({ truth, predicted }))),
    ),
  ranking: () =>
    setsOf<Golden & { queries: [number[], number[]][]; k: number }>('ranking', ({ queries, k }) =>
      rankingMetrics(
        queries.map(([relevance, scores]) => ({ relevance, scores })),
        k,
      ),
    ),
  masks: () =>
    setsOf<Golden & { labels: string[]; images: [number[], number[]][] }>('masks', ({ labels, images }) =>
      maskMetrics(
        labels,
        images.map(([truth, predicted]) => overlapsOf(Uint16Array.from(truth), Uint16Array.from(predicted))),
      ),
    ),
};

function entitySets(spansOf: (tags: readonly string[]) => Span[]) {
  return setsOf<EntityGolden>('entities', ({ texts }) =>
    entityMetrics(texts.map(([truth, predicted]) => ({ truth: spansOf(truth), predicted: spansOf(predicted) }))),
  );
}

function setsOf<T extends Golden>(file: string, setOf: (golden: T) => MetricSet) {
  return readGoldens<T>(file).map((golden) => ({ ...golden, set: setOf(golden) }));
}
