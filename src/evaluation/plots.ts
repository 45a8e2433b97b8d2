/** Plots of evaluations: what they show, and drawing them as SVG for holders of their URLs. */
import type { Principal } from '../access/principal.js';
import type { Viewer } from '../access/visibility.js';
import { altTextOf } from '../plots/alt-text.js';
import { MAX_BARS } from '../plots/bar-plot.js';
import type { ConfusionCells } from '../plots/confusion-plot.js';
import { type CurveKind, MAX_CURVES } from '../plots/curve-plot.js';
import type { Drawing, StoredCurve } from '../plots/drawing.js';
import type { ImportanceDrawing } from '../plots/importance-plot.js';
import type { Plotter } from '../plots/plotter.js';
import { inMemory, type OpenPicture } from '../prediction/open-picture.js';
import type { Reader } from '../prediction/picture-urls.js';
import { sha256 } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { EvaluationPartTable } from '../storage/migrations/evaluation.table.js';
import { findEvaluationsByIds, findMetrics } from './evaluation.queries.js';
import { type Importance, mostImportant } from './importance.js';
import { findJobs, findPartLabels, findParts } from './job.queries.js';
import { metricTitle } from './metric-names.js';
import { isSameMetric } from './paired.js';
import { isSigned, type PlotAddress, type PlotKindName, type PlotUrl, plotUrlOf, viewerOf } from './plot-urls.js';

interface Parts {
  readonly db: CatalogDatabase;
  readonly plotter: Plotter;
  /** A digest that nobody else can make. */
  readonly sign: (text: string) => Promise<string>;
  /** Whether the key that a URL was made for is still accepted. */
  readonly isReaderAccepted: (reader: Reader) => boolean;
}

/** Drawn plots, the oldest of which are forgotten. Each has at most 200 KB. */
const MAX_KEPT = 100;
/** Characters of the name of a column. */
const MAX_NAME = 200;

const PART_OF: Readonly<Record<PlotKindName, EvaluationPartTable['kind']>> = {
  CONFUSION_MATRIX: 'CONFUSION',
  ROC: 'ROC',
  PRECISION_RECALL: 'PR',
  CALIBRATION: 'CALIBRATION',
  IMPORTANCE: 'IMPORTANCE',
};

export class Plots {
  readonly #parts: Parts;
  /** By evaluation, kind and theme. What was evaluated does not change. */
  readonly #drawn = new Map<string, Promise<string | null>>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async has(evaluationId: string, kind: PlotKindName, viewer: Viewer): Promise<boolean> {
    if (kind === 'IMPORTANCE') return (await this.#drawingOf(evaluationId, kind, viewer)) !== null;
    const choice = { kind: PART_OF[kind], label: null };
    return (await findPartLabels(this.#parts.db, viewer, evaluationId, choice)).length > 0;
  }

  urlOf(address: PlotAddress, principal: Principal): Promise<string> {
    return plotUrlOf(address, principal, this.#parts.sign);
  }

  async altTextOf(evaluationId: string, kind: PlotKindName, viewer: Viewer): Promise<string> {
    const drawing = await this.#drawingOf(evaluationId, kind, viewer);
    return drawing ? altTextOf(drawing) : '';
  }

  /**
   * Null if there is no such plot, if the URL was not made here, or if its reader may no longer read.
   *
   * @throws TooManyPlotsError
   */
  async ofUrl(url: PlotUrl): Promise<OpenPicture | null> {
    const { db, sign, isReaderAccepted } = this.#parts;
    if (!isReaderAccepted(url.reader) || !(await isSigned(url, sign))) return null;
    const viewer = viewerOf(url);
    const [evaluation] = await findEvaluationsByIds(db, viewer, [url.evaluationId]);
    if (!evaluation || !(await this.has(evaluation.id, url.kind, viewer))) return null;
    const svg = await this.#svgOf(url, viewer);
    if (svg === null) return null;
    const bytes = Buffer.from(svg);
    return inMemory(bytes, 'image/svg+xml', sha256(bytes).slice(0, 32));
  }

  /** Null if the evaluation was deleted meanwhile. */
  #svgOf(url: PlotUrl, viewer: Viewer): Promise<string | null> {
    const name = `${url.evaluationId} ${url.kind} ${url.theme}`;
    const known = this.#drawn.get(name);
    if (known) return known;
    const drawn = this.#draw(url, viewer);
    drawn.catch(() => this.#drawn.delete(name));
    for (const oldest of this.#drawn.keys()) {
      if (this.#drawn.size < MAX_KEPT) break;
      this.#drawn.delete(oldest);
    }
    this.#drawn.set(name, drawn);
    return drawn;
  }

  async #draw({ evaluationId, kind, theme, account }: PlotUrl, viewer: Viewer): Promise<string | null> {
    const drawing = await this.#drawingOf(evaluationId, kind, viewer);
    return drawing && this.#parts.plotter.draw({ drawing, theme }, account ?? '');
  }

  async #drawingOf(id: string, kind: PlotKindName, viewer: Viewer): Promise<Drawing | null> {
    const { db } = this.#parts;
    const parts = await findParts(db, viewer, id, { kind: PART_OF[kind], label: null });
    const [first] = parts;
    if (!first) return null;
    if (kind === 'CONFUSION_MATRIX') return { kind, json: first.content };
    if (kind === 'IMPORTANCE') return this.#importanceOf(id, parts, viewer);
    const figures = await this.#figuresOf(id, kind, viewer);
    // Then there is one area, that of the last class.
    const isBinary = kind === 'ROC' ? figures.has(null) : kind === 'CALIBRATION' && parts.length === 2;
    const all = parts.map(({ label, content }): StoredCurve => {
      const own = label ?? '';
      const figure = figures.get(own) ?? figures.get(null) ?? null;
      return { label: own, json: content, figure };
    });
    // The curves of two classes are each other's mirror images.
    const curves = isBinary ? all.slice(-1) : await this.#chosen(id, all, viewer);
    return { kind, curves, omitted: isBinary ? 0 : all.length - curves.length };
  }

  /** Null if nothing was measured of any column. */
  async #importanceOf(
    id: string,
    parts: Parameters<typeof mostImportant>[0],
    viewer: Viewer,
  ): Promise<ImportanceDrawing | null> {
    const [job] = await findJobs(this.#parts.db, viewer, [id]);
    const asked: Importance | null = JSON.parse(job?.importance ?? 'null');
    if (!asked) return null;
    const metrics = await findMetrics(this.#parts.db, viewer, [id]);
    const baseline = metrics.find((metric) => isSameMetric(metric, asked))?.value ?? null;
    if (baseline === null) return null;
    const bars = mostImportant(parts)
      .filter(({ mean }) => mean !== null)
      .map(({ feature: name, mean, standardDeviation }) => ({
        name: name.slice(0, MAX_NAME),
        mean: mean as number,
        standardDeviation: standardDeviation as number,
      }));
    const metric = metricTitle(asked.name, asked.average) + (asked.label === null ? '' : ` of ${asked.label}`);
    const omitted = Math.max(0, parts.length - MAX_BARS);
    if (bars.length === 0) return null;
    return { kind: 'IMPORTANCE', bars: bars.slice(0, MAX_BARS), omitted, metric, baseline, repeats: asked.repeats };
  }

  /** By class; null for all of them. */
  async #figuresOf(id: string, kind: CurveKind, viewer: Viewer): Promise<Map<string | null, number | null>> {
    if (kind === 'CALIBRATION') return new Map();
    const wanted = kind === 'ROC' ? 'roc_auc' : 'average_precision';
    const metrics = await findMetrics(this.#parts.db, viewer, [id]);
    const named = metrics.filter(({ name, average }) => name === wanted && average === null);
    return new Map(named.map(({ label, value }) => [label, value]));
  }

  /** In their order, those of the classes with the most rows. */
  async #chosen(id: string, curves: readonly StoredCurve[], viewer: Viewer): Promise<readonly StoredCurve[]> {
    if (curves.length <= MAX_CURVES) return curves;
    const [part] = await findParts(this.#parts.db, viewer, id, { kind: 'CONFUSION', label: null });
    const { labels, cells }: ConfusionCells = JSON.parse(part?.content ?? '{"labels":[],"cells":[]}');
    const rows = new Map<string, number>();
    for (const [truth = 0, , count = 0] of cells) {
      const label = labels[truth] as string;
      rows.set(label, (rows.get(label) ?? 0) + count);
    }
    const most = curves.toSorted((a, b) => (rows.get(b.label) ?? 0) - (rows.get(a.label) ?? 0)).slice(0, MAX_CURVES);
    return curves.filter((curve) => most.includes(curve));
  }
}
