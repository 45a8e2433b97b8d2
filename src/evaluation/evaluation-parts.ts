/** What all steps of an evaluation need. */
import type { Logger } from 'pino';
import type { Engine } from '../engine/engine.js';
import type { Resolved, Serving } from '../serving/serving.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { MeasuringTask } from './measuring-thread.js';
import type { Plan } from './plan.js';
import type { RunParts } from './row-answer.js';

/** All evaluations share what the engine gives to one caller. */
const CALLER = 'evaluation';

export interface EvaluatorParts {
  readonly db: CatalogDatabase;
  readonly blobs: BlobFolder;
  readonly serving: Serving;
  readonly engine: Engine;
  readonly log: Logger;
}

/** The evaluation that is running. */
export interface EvaluationRun {
  readonly id: string;
  readonly stop: AbortController;
  readonly startedAt: number;
  /** Since `startedAt`. */
  answeredRows: number;
}

export interface Running {
  readonly run: EvaluationRun;
  readonly plan: Plan;
  readonly resolved: Resolved;
}

/** What is measured in a thread. */
export type Answered = Pick<MeasuringTask, 'labels' | 'seed' | 'pieces'>;

export function runPartsOf(
  parts: Pick<EvaluatorParts, 'engine' | 'blobs'>,
  { run, plan, resolved }: Running,
): RunParts {
  const { signal } = run.stop;
  const connection = {
    caller: CALLER,
    get isClosed() {
      return signal.aborted;
    },
  };
  return { ...parts, version: resolved, plan, connection, signal };
}
