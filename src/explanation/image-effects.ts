/** Which parts of an image move the score: those are hidden, a few at a time, and the model is run without them. */
import { InferenceFailedError } from '../errors.js';
import { factsOfImage } from '../tasks/image-file.js';
import { unexplained } from './explained-score.js';
import { type Grid, gridOf, heatMap, LEAST_PATCHES, type Patch, patchesOf } from './occlusion.js';

/** Copies of an image, upright and of this size, as PNG: one for each patch, without what is in it. */
export type HidePatches = (of: {
  readonly image: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly patches: readonly Patch[];
}) => Promise<readonly Uint8Array[]>;

interface ImageToExplain {
  readonly image: Uint8Array;
  readonly maxCalls: number;
  readonly hide: HidePatches;
  readonly scores: (images: readonly Uint8Array[]) => Promise<ArrayLike<number>>;
  readonly signal: AbortSignal;
}

export interface ImageEffects {
  readonly grid: Grid;
  /** Of each cell, row by row from the top left. */
  readonly effects: Float64Array;
  /** Of the image in which nothing is hidden. */
  readonly score: number;
  readonly modelCalls: number;
}

/** Of the copies, in pixels: models hardly read more. */
const MAX_EDGE = 384;
/** 16 by 16 cells. */
const MAX_PATCHES = 289;
/** Copies that are in memory together. */
const COPIES_AT_ONCE = 16;
const NOTHING: Patch = { x: 0, y: 0, width: 0, height: 0 };

/** @throws InvalidInputError if there are too few calls; InferenceFailedError */
export async function imageEffects({ image, maxCalls, hide, scores, signal }: ImageToExplain): Promise<ImageEffects> {
  const facts = factsOfImage(image);
  if (!facts) throw unexplained('the size of its image cannot be read', 'an image with a complete header');
  if (maxCalls <= LEAST_PATCHES)
    throw unexplained('its image takes too many of the model calls', 'a smaller image, or more model calls');
  const scale = Math.min(1, MAX_EDGE / Math.max(facts.width, facts.height));
  const [width, height] = [facts.width, facts.height].map((edge) => Math.max(1, Math.round(edge * scale))) as [
    number,
    number,
  ];
  const grid = gridOf({ width, height }, Math.min(maxCalls - 1, MAX_PATCHES));
  const patches = [NOTHING, ...patchesOf(grid)];
  const found: number[] = [];
  for (let at = 0; at < patches.length; at += COPIES_AT_ONCE) {
    signal.throwIfAborted();
    const some = patches.slice(at, at + COPIES_AT_ONCE);
    const copies = await hide({ image, width, height, patches: some }).catch((error: Error) => {
      throw new InferenceFailedError(`parts of the image cannot be hidden: ${error.message}`);
    });
    signal.throwIfAborted();
    found.push(...Array.from(await scores(copies)));
  }
  const [score = 0, ...without] = found;
  return { grid, effects: heatMap(grid, score, without), score, modelCalls: found.length };
}
