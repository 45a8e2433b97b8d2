/**
 * Runs rows of a dataset through the engine, at low priority, a few at a time: as many as one batch may have, so that an
 * evaluation takes one worker at most, and gives it back often.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { digestIn } from '../datasets/image-value.js';
import { OverloadedError } from '../errors.js';
import { ColumnAnswers } from './column-answers.js';
import { ItemAnswers } from './item-answers.js';
import type { Row } from './plan.js';
import type { NumberedRow, RunParts, RunRows } from './row-answer.js';

const WAIT_MS = 250;
/** For this long, a batch is tried again because the server is busy. */
const MAX_WAIT_MS = 10 * 60_000;
/** Texts and images are checked one by one on the event loop. */
const INPUTS_AT_ONCE = 32;
const ROWS_AT_ONCE = 500;
/** No more rows are read once they have as many bytes, with their images. */
const MAX_BYTES_AT_ONCE = 16 * 1024 ** 2;

/** What collects the answers of one piece. */
interface Collector {
  /** Returns the rows that have to be run again. */
  run(parts: RunParts, rows: readonly NumberedRow[]): Promise<NumberedRow[]>;
  result(): RunRows;
}

/** @throws OverloadedError if the server stays busy; what ends the job: NotReadyError, ShuttingDownError, … */
export async function runRows(parts: RunParts, lines: readonly string[], firstRow: number): Promise<RunRows> {
  const { plan, version } = parts;
  const collected: Collector = plan.itemOf
    ? new ItemAnswers(plan)
    : new ColumnAnswers(plan, version.engineVersion.spec.labels);
  for (let at = 0; at < lines.length; ) {
    const rows = await nextRows(parts, lines.slice(at, at + rowsAtOnce(parts)), firstRow + at);
    await runBatch(parts, rows, collected);
    at += rows.length;
  }
  return collected.result();
}

function rowsAtOnce({ engine, version, plan }: RunParts): number {
  if (plan.columns === null || plan.itemOf) return INPUTS_AT_ONCE;
  const { engineVersion } = version;
  return Math.min(ROWS_AT_ONCE, engine.rowsPerBlock(engineVersion, Math.max(1, engineVersion.spec.columns.length)));
}

/** The first of these rows, with the images that they name. */
async function nextRows({ plan, blobs }: RunParts, lines: readonly string[], firstRow: number): Promise<NumberedRow[]> {
  const rows: NumberedRow[] = [];
  for (let bytes = 0; rows.length < lines.length && bytes < MAX_BYTES_AT_ONCE; ) {
    const line = lines[rows.length] as string;
    const row: Row = JSON.parse(line);
    const digest = plan.image === null ? null : digestIn(row[plan.image]);
    const image = digest === null ? null : await blobs.get(digest);
    bytes += line.length + (image?.length ?? 0);
    rows.push({ number: firstRow + rows.length, row, image });
  }
  return rows;
}

async function runBatch(parts: RunParts, rows: readonly NumberedRow[], collected: Collector): Promise<void> {
  let pending = rows;
  for (const begun = performance.now(); pending.length > 0; ) {
    parts.signal.throwIfAborted();
    const again = await collected.run(parts, pending);
    // What was aborted did not fail.
    parts.signal.throwIfAborted();
    if (again.length > 0 && performance.now() - begun > MAX_WAIT_MS)
      throw new OverloadedError(
        parts.version.engineVersion.ref,
        parts.engine.queueDepth,
        WAIT_MS,
        'rows of an evaluation have waited too long',
      );
    if (again.length > 0) await sleep(WAIT_MS, undefined, { signal: parts.signal });
    pending = again;
  }
}
