/** Runs one row of a dataset through the engine, at low priority. */
import { SYSTEM } from '../access/principal.js';
import type { Engine } from '../engine/engine.js';
import type { CallerConnection } from '../engine/queue.js';
import { checkedJob, errorOf, type Job } from '../prediction/new-prediction.js';
import type { Resolved } from '../serving/serving.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { Answer } from '../tasks/answer.js';
import type { ItemResult } from '../tasks/failures.js';
import type { ModelInput } from '../tasks/tasks.js';
import type { Answers } from './answers-file.js';
import type { Plan, Row } from './plan.js';

/** A row that the version did not answer. */
export interface FailedRow {
  /** From 1. */
  readonly row: number;
  readonly message: string;
}

export interface RunRows {
  readonly answers: Answers;
  readonly failed: readonly FailedRow[];
}

export interface RunParts {
  readonly engine: Engine;
  readonly blobs: Pick<BlobFolder, 'get'>;
  readonly version: Resolved;
  readonly plan: Plan;
  readonly connection: CallerConnection;
  readonly signal: AbortSignal;
}

export interface NumberedRow {
  readonly number: number;
  readonly row: Row;
  /** The file, if the row names it by digest. */
  readonly image: Uint8Array | null;
}

/** Of a batch. It is not run late, but again: others may have had their turn. */
const DEADLINE_MS = 60_000;
export const PATH = ['row'];

export function optionsOf({ version }: Pick<RunParts, 'version'>) {
  return { version, deadlineMs: DEADLINE_MS, priority: 'LOW', record: false, subject: null } as const;
}

export function callerOf({ connection }: Pick<RunParts, 'connection'>) {
  return { principal: SYSTEM, connection };
}

/** @throws AppError as predictions do */
export async function answerTo(parts: RunParts, input: ModelInput): Promise<Answer> {
  return answerOfJob(parts, checkedJob({ ...optionsOf(parts), input, path: PATH }));
}

export async function answerOfJob({ engine, connection }: RunParts, { version, item, ...job }: Job): Promise<Answer> {
  const outcome = await engine.run(version.engineVersion, item, { ...job, connection });
  const result = outcome.results[0] as ItemResult;
  if ('failure' in result) throw errorOf(result.failure, PATH);
  return result.answer;
}
