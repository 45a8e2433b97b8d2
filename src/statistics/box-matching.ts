/** Which detections of an image find which true boxes, as pycocotools 2.0 decides it (all areas, at most 100 detections). */

/** Edges in pixels, measured from the top left corner. */
export interface BoxEdges {
  readonly xmin: number;
  readonly ymin: number;
  readonly xmax: number;
  readonly ymax: number;
}

export interface TrueBox {
  readonly box: BoxEdges;
  /** Marks many objects: it may be found any number of times, and finding it or missing it counts neither way. */
  readonly isCrowd: boolean;
}

export interface FoundBox {
  readonly box: BoxEdges;
  readonly score: number;
}

/** 0.5, 0.55 … 0.95, with the rounding of NumPy's `linspace`. */
export const IOU_THRESHOLDS: readonly number[] = Array.from({ length: 10 }, (_, i) =>
  i === 9 ? 0.95 : i * ((0.95 - 0.5) / 9) + 0.5,
);

/** Per image and class, by score. */
export const MAX_DETECTIONS = 100;

export interface MatchedBox {
  readonly score: number;
  /** For each threshold of IoU: bit i is set if the detection finds an object at `IOU_THRESHOLDS[i]`. */
  readonly hits: number;
  /** For each threshold: bit i is set if the detection finds a crowd, so that it does not count. */
  readonly ignored: number;
}

/** The detections of one class in one image that count, highest score first. */
export function matchBoxes(truth: readonly TrueBox[], found: readonly FoundBox[]): MatchedBox[] {
  const objects = [...truth].sort((a, b) => Number(a.isCrowd) - Number(b.isCrowd));
  const best = [...found].sort((a, b) => b.score - a.score).slice(0, MAX_DETECTIONS);
  const overlaps = best.map(({ box }) => Float64Array.from(objects, (object) => overlapOf(box, object)));
  const hits = new Uint16Array(best.length);
  const ignored = new Uint16Array(best.length);
  for (const [bit, threshold] of IOU_THRESHOLDS.entries()) {
    const isTaken = new Uint8Array(objects.length);
    for (const [i, row] of overlaps.entries()) {
      const match = matchOf(row, objects, isTaken, threshold);
      if (match === -1) continue;
      isTaken[match] = 1;
      const bits = objects[match]?.isCrowd ? ignored : hits;
      bits[i] = (bits[i] as number) | (1 << bit);
    }
  }
  return best.map(({ score }, i) => ({ score, hits: hits[i] as number, ignored: ignored[i] as number }));
}

/** The free object with the highest overlap, the last one of equals; a crowd only if there is no such object; −1 if neither. */
function matchOf(row: Float64Array, objects: readonly TrueBox[], isTaken: Uint8Array, threshold: number): number {
  let highest = threshold;
  let match = -1;
  for (const [i, { isCrowd }] of objects.entries()) {
    if (isTaken[i] === 1 && !isCrowd) continue;
    if (match !== -1 && isCrowd && !objects[match]?.isCrowd) break;
    const overlap = row[i] as number;
    // Also not NaN, of boxes whose area is too large for a number.
    if (!(overlap >= highest)) continue;
    highest = overlap;
    match = i;
  }
  return match;
}

/** Intersection over union; over the area of the detection if the object is a crowd. */
function overlapOf(found: BoxEdges, { box, isCrowd }: TrueBox): number {
  const width = Math.min(found.xmax, box.xmax) - Math.max(found.xmin, box.xmin);
  const height = Math.min(found.ymax, box.ymax) - Math.max(found.ymin, box.ymin);
  if (!(width > 0 && height > 0)) return 0;
  const intersection = width * height;
  return intersection / (isCrowd ? areaOf(found) : areaOf(found) + areaOf(box) - intersection);
}

function areaOf({ xmin, ymin, xmax, ymax }: BoxEdges): number {
  return (xmax - xmin) * (ymax - ymin);
}
