/** The importance of each column, from the first one that is not stored yet: a thread shuffles and measures, and rows are run here. */
import { faultPoint } from '../fault-points.js'; // @fault
import { type Answered, type EvaluatorParts, type Running, runPartsOf } from './evaluation-parts.js';
import type { Importance } from './importance.js';
import type { FoundQuestion, ImportanceQuestion, ImportanceTask } from './importance-thread.js';
import { countImportances, doOthersWait, findJob, insertImportance, updateJob } from './job.queries.js';
import { importanceInThread } from './measuring.js';
import { runRows } from './row-runs.js';

/** After so many rows, and the column that they are of, other accounts have their turn. */
const ROWS_A_TURN = 10_000;

interface WithImportance extends Running {
  readonly account: string;
  readonly importance: Importance;
  readonly answered: Answered;
}

/** Returns whether all columns have been measured. Otherwise others have their turn, or the evaluation was cancelled or deleted. */
export async function measureImportance(parts: EvaluatorParts, of: WithImportance): Promise<boolean> {
  const { db, engine, blobs } = parts;
  const { run, plan, importance, answered } = of;
  const { repeats, columns: _, ...metric } = importance;
  const task: ImportanceTask = {
    ...answered,
    metric,
    repeats,
    columns: plan.columns ?? [],
    targets: plan.target === '' ? plan.labels : [plan.target],
    from: await db.transaction().execute((trx) => countImportances(trx, run.id)),
  };
  let rows = 0;
  const runParts = runPartsOf({ engine, blobs }, of);
  const answer = async (question: ImportanceQuestion) => {
    if ('lines' in question) {
      const found = await runRows(runParts, question.lines, 1);
      rows += question.lines.length;
      run.answeredRows += question.lines.length;
      return found;
    }
    faultPoint('evaluation.shuffled'); // @fault
    if (!(await store(parts, run.id, question))) return false;
    const isLast = question.index === importance.columns - 1;
    return isLast || rows < ROWS_A_TURN || !(await doOthersWait(db, of.account));
  };
  return (await importanceInThread(task, run.stop.signal, answer)).isComplete;
}

/** Returns whether the evaluation goes on. */
async function store({ db }: EvaluatorParts, id: string, { column, index, found }: FoundQuestion): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    if ((await findJob(trx, id))?.job_state !== 'RUNNING') return false;
    const content = JSON.stringify(found);
    await insertImportance(trx, { evaluation_id: id, ordinal: index, label: column, content });
    await updateJob(trx, id, { attempts: 0, problem: null });
    return true;
  });
}
