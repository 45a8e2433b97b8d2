/** Setting and removing gates of aliases. */
import { appendAudit } from '../access/audit.queries.js';
import { checkGrant } from '../access/grants.js';
import { type Principal, SYSTEM } from '../access/principal.js';
import { checkReason } from '../access/reason.js';
import type { Model } from '../catalog/model.type.js';
import { isAliasName } from '../catalog/ref.js';
import { findSpecs } from '../catalog/version.queries.js';
import { ForbiddenError, type InputProblem, InvalidInputError, NotFoundError, UploadLimitError } from '../errors.js';
import type { MetricIdentity } from '../statistics/metric-set.js';
import type { CatalogDatabase } from '../storage/database.js';
import { describe } from '../tasks/problems.js';
import { countGates, deleteGate, findGates, findModelAccount, type StoredGate, saveGate } from './gate.queries.js';
import type { GateCondition } from './gate-verdict.js';
import { findEvaluatedDataset } from './job.queries.js';
import { metricsOf, usualMetrics } from './known-metrics.js';
import { describeMetric } from './metric-names.js';
import { isSameMetric } from './paired.js';
import { type PlannedDataset, planOf } from './plan.js';
import { withoutRows } from './planned-dataset.js';
import { unknownMetric } from './version-comparison.js';

export const MAX_GATES = 20;
export const MAX_CONDITIONS = 10;

export interface AliasOfModel {
  readonly model: Model;
  readonly alias: string;
  readonly reason?: string | null | undefined;
}

export interface WantedGate extends AliasOfModel {
  readonly datasetId: string;
  readonly conditions: readonly GateCondition[];
}

/** @throws InvalidInputError, ForbiddenError, NotFoundError, UploadLimitError, StorageFullError */
export async function setGate(db: CatalogDatabase, wanted: WantedGate, principal: Principal): Promise<void> {
  const { model, alias, conditions } = wanted;
  const reason = checkReason(wanted.reason, ['input', 'reason']);
  checkAlias(alias);
  const dataset = await findEvaluatedDataset(db, principal, wanted.datasetId);
  if (!dataset) throw new NotFoundError('The dataset');
  const { id: dataset_id, name: dataset_name, rows_sha256, target, columns } = dataset;
  if (rows_sha256 === null) throw withoutRows(dataset_name);
  const known = await knownMetrics(db, model, { target, columns: JSON.parse(columns) });
  checkConditions(conditions, known);
  await db.transaction().execute(async (trx) => {
    await checkMayChange(trx, wanted, principal);
    const before = (await findGates(trx, SYSTEM, [model.id])).find((gate) => gate.alias === alias) ?? null;
    if (!before && (await countGates(trx, model.id)) >= MAX_GATES)
      throw new UploadLimitError(`${model.name} has ${MAX_GATES} gates, and may not have more.`);
    const row = { dataset_id, dataset_name, rows_sha256, conditions: JSON.stringify(conditions) };
    await saveGate(trx, { model_id: model.id, alias, ...row, updated_at: Date.now() });
    const after = { dataset: dataset_name, rowsSha256: rows_sha256, conditions };
    const target = `${model.name}@${alias}`;
    await appendAudit(trx, principal, { action: 'setGate', target, reason, before: stateOf(before), after });
  });
}

/** @throws InvalidInputError, ForbiddenError, NotFoundError, StorageFullError */
export async function removeGate(db: CatalogDatabase, wanted: AliasOfModel, principal: Principal): Promise<void> {
  const { model, alias } = wanted;
  const reason = checkReason(wanted.reason, ['input', 'reason']);
  checkAlias(alias);
  await db.transaction().execute(async (trx) => {
    await checkMayChange(trx, wanted, principal);
    const before = (await findGates(trx, SYSTEM, [model.id])).find((gate) => gate.alias === alias);
    const target = `${model.name}@${alias}`;
    if (!before) throw new NotFoundError(`The gate of ${target}`);
    await deleteGate(trx, model.id, alias);
    await appendAudit(trx, principal, { action: 'removeGate', target, reason, before: stateOf(before), after: null });
  });
}

function stateOf(gate: StoredGate | null): object | null {
  if (gate === null) return null;
  const { datasetName: dataset, rowsSha256, conditions, attempts } = gate;
  return { dataset, rowsSha256, conditions, attempts };
}

/** @throws NotFoundError, ForbiddenError */
async function checkMayChange(
  trx: Parameters<typeof findModelAccount>[0],
  { model, alias }: AliasOfModel,
  principal: Principal,
): Promise<void> {
  const found = await findModelAccount(trx, model.id);
  if (!found) throw new NotFoundError(`The model "${model.name}"`);
  const action = `Changing the gate of "${model.name}@${alias}"`;
  if (found.account !== principal.id && !principal.roles.includes('admin'))
    throw new ForbiddenError(action, 'the account that owns the model');
  checkGrant(principal, model.name, `${model.name}@${alias}`, 'Changing the gate of');
}

function checkAlias(alias: string): void {
  if (isAliasName(alias)) return;
  const expected = 'a name that matches [a-z][a-z0-9-]{0,31}';
  const path = ['input', 'alias'];
  throw new InvalidInputError([
    { path, code: 'UNREADABLE', message: 'the alias name is invalid', expected, received: describe(alias) },
  ]);
}

/** That evaluations of the model on the dataset have. @throws InvalidInputError if it cannot be evaluated on it */
async function knownMetrics(
  db: CatalogDatabase,
  { defaultVersionId }: Model,
  dataset: PlannedDataset,
): Promise<MetricIdentity[]> {
  const spec = defaultVersionId === null ? null : (await findSpecs(db, SYSTEM, [defaultVersionId]))[0]?.spec;
  return spec ? metricsOf(planOf(spec, dataset)) : usualMetrics();
}

function checkConditions(conditions: readonly GateCondition[], known: readonly MetricIdentity[]): void {
  const count = conditions.length;
  if (count < 1 || count > MAX_CONDITIONS)
    throw new InvalidInputError([
      {
        path: ['input', 'conditions'],
        code: count === 0 ? 'EMPTY' : 'TOO_LARGE',
        message: 'the number of conditions is not accepted',
        expected: `1 to ${MAX_CONDITIONS} conditions`,
        received: `${count}`,
      },
    ]);
  const problems = conditions.flatMap((condition, i) => conditionProblems(condition, conditions.slice(0, i), known));
  if (problems.length > 0) throw new InvalidInputError(problems);
}

function conditionProblems(
  condition: GateCondition,
  earlier: readonly GateCondition[],
  known: readonly MetricIdentity[],
): InputProblem[] {
  const path = ['input', 'conditions', String(earlier.length)];
  const { threshold, margin } = condition;
  const received = describeMetric(condition);
  const metric = known.find((one) => isSameMetric(one, condition));
  if (!metric) return [unknownMetric([...path, 'name'], condition, known)];
  if (earlier.some((metric) => isSameMetric(metric, condition)))
    return [
      { path, code: 'WRONG_KIND', message: 'the metric is listed twice', expected: 'different metrics', received },
    ];
  if (threshold === null && margin === null)
    return [
      {
        path,
        code: 'MISSING',
        message: 'the condition asks for nothing',
        expected: 'threshold, margin or both',
        received,
      },
    ];
  const infinite = (['threshold', 'margin'] as const).find((name) => !Number.isFinite(condition[name] ?? 0));
  // It would be stored as null, which asks for nothing.
  if (infinite)
    return [
      {
        path: [...path, infinite],
        code: 'NOT_FINITE',
        message: 'the number is not finite',
        expected: 'a finite number',
        received: `${condition[infinite]}`,
      },
    ];
  if (margin !== null && margin < 0)
    return [
      {
        path: [...path, 'margin'],
        code: 'OUT_OF_RANGE',
        message: 'the margin is negative',
        expected: 'at least 0',
        received: `${margin}`,
      },
    ];
  // In percent, such a threshold is never reached, and such a margin lets every version pass.
  const large = metric.higherIsBetter && (['threshold', 'margin'] as const).find((name) => (condition[name] ?? 0) > 1);
  if (large)
    return [
      {
        path: [...path, large],
        code: 'OUT_OF_RANGE',
        message: `no ${received} is above 1`,
        expected: 'at most 1: send 0.95 for 95%',
        received: `${condition[large]}`,
      },
    ];
  return [];
}
