/** Gates of aliases: setting them, and judging versions. Judging sees all data, whoever asks. */
import type { Logger } from 'pino';
import { SYSTEM } from '../access/principal.js';
import { findAliases } from '../catalog/alias.queries.js';
import type { GatedMove, GateSituation } from '../catalog/alias-gate.js';
import { findSpecs, findVersionsByIds } from '../catalog/version.queries.js';
import { AppError, type GateReason, UploadLimitError } from '../errors.js';
import { environmentOf } from '../serving/latency-records.js';
import type { CatalogDatabase } from '../storage/database.js';
import { findNewestEvaluations, type NewestEvaluation } from './comparison.queries.js';
import type { ComparedEvaluation, ComparedFor, Comparisons } from './comparisons.js';
import { findEvaluationsOnTrainingData, findMetrics, toMetric } from './evaluation.queries.js';
import { findGates, type StoredGate } from './gate.queries.js';
import { checkCondition, type GateCheck } from './gate-verdict.js';
import { findEvaluatedDataset } from './job.queries.js';
import type { MetricGain } from './paired.js';
import { labelsIn } from './version-comparison.js';

/** What is known of a version on the rows of a gate. */
interface JudgedVersion {
  readonly versionId: string;
  readonly evaluation: Pick<NewestEvaluation, 'id' | 'artifact_sha256'> | null;
  /** Why the evaluation does not count, or that there is none; null if it counts. */
  readonly refusal: 'NOT_EVALUATED' | 'OTHER_ROWS' | 'ON_TRAINING_DATA' | null;
}

interface Situation {
  readonly gate: StoredGate;
  readonly candidate: JudgedVersion;
  /** The present version; null if there is none. */
  readonly holder: JudgedVersion | null;
}

export interface GateVerdict {
  readonly isPassed: boolean;
  readonly reasons: readonly GateReason[];
  readonly checks: readonly GateCheck[];
  readonly evaluationId: string | null;
  readonly holderId: string | null;
}

interface GateParts {
  readonly db: CatalogDatabase;
  readonly comparisons: Comparisons;
  /** Execution provider of the engine. */
  readonly provider: () => string;
  readonly log: Logger;
}

export class Gates {
  readonly #parts: GateParts;

  constructor(parts: GateParts) {
    this.#parts = parts;
  }

  /** As `FindGateSituation` of `catalog/alias-gate.ts`. */
  readonly findSituation = async (db: CatalogDatabase, move: GatedMove): Promise<GateSituation | null> => {
    const found = await this.#situationOf(db, move);
    if (found === null || found.holder?.versionId === move.versionId) return null;
    const { gate, candidate, holder } = found;
    const { datasetId, rowsSha256, conditions } = gate;
    return {
      key: JSON.stringify([datasetId, rowsSha256, conditions, candidate, holder]),
      rowsSha256,
      judge: () => this.#judge(found, { purpose: 'change', caller: move.modelId }),
    };
  };

  /** Of a version, compared with the present one unless it is that itself; null if the alias has no gate. */
  async verdictOf(move: GatedMove, caller: string): Promise<GateVerdict | null> {
    const found = await this.#situationOf(this.#parts.db, move);
    if (found === null) return null;
    const isHolder = found.holder?.versionId === move.versionId;
    return this.#judge(isHolder ? { ...found, holder: null } : found, { purpose: 'question', caller });
  }

  async #situationOf(db: CatalogDatabase, { modelId, alias, versionId }: GatedMove): Promise<Situation | null> {
    const gate = (await findGates(db, SYSTEM, [modelId])).find((one) => one.alias === alias);
    if (!gate) return null;
    const aliases = await findAliases(db, SYSTEM, 'alias.model_id', [modelId]);
    const holderId = aliases.find(({ name }) => name === alias)?.versionId ?? null;
    const versionIds = holderId === null ? [versionId] : [versionId, holderId];
    const found = await findNewestEvaluations(db, SYSTEM, { datasetId: gate.datasetId, versionIds });
    const ids = found.map(({ id }) => id);
    const trained = new Set(ids.length === 0 ? [] : await findEvaluationsOnTrainingData(db, SYSTEM, ids));
    const judged = (id: string) => this.#judgedVersion(gate, id, { found, trained });
    return { gate, candidate: judged(versionId), holder: holderId === null ? null : judged(holderId) };
  }

  #judgedVersion(
    { rowsSha256 }: StoredGate,
    versionId: string,
    { found, trained }: { readonly found: readonly NewestEvaluation[]; readonly trained: ReadonlySet<string> },
  ): JudgedVersion {
    const own = found.filter(({ version_id }) => version_id === versionId);
    const ofRows = own.filter(({ rows_sha256 }) => rows_sha256 === rowsSha256);
    const { provider, runtime } = environmentOf(this.#parts.provider());
    const same = ofRows.find((one) => one.provider === provider && one.runtime === runtime);
    if (!same)
      return {
        versionId,
        evaluation: null,
        refusal: own.length > 0 && ofRows.length === 0 ? 'OTHER_ROWS' : 'NOT_EVALUATED',
      };
    const evaluation = { id: same.id, artifact_sha256: same.artifact_sha256 };
    return { versionId, evaluation, refusal: trained.has(same.id) ? 'ON_TRAINING_DATA' : null };
  }

  async #judge(situation: Situation, comparedFor: ComparedFor): Promise<GateVerdict> {
    const { gate, candidate, holder } = situation;
    const ids = { evaluationId: candidate.evaluation?.id ?? null, holderId: holder?.versionId ?? null };
    const refs = await this.#refsOf(situation);
    const reasons = refusalsOf(situation, refs);
    if (candidate.refusal !== null || candidate.evaluation === null)
      return { isPassed: false, reasons, checks: [], ...ids };
    const metrics = (await findMetrics(this.#parts.db, SYSTEM, [candidate.evaluation.id])).map(toMetric);
    const compared = await this.#gains(situation, comparedFor);
    if (compared.problem !== null)
      reasons.push({
        code: 'NOT_COMPARED',
        message: `it could not be compared with ${refs(holder)}: ${compared.problem}`,
      });
    const checks = gate.conditions.map((condition) => checkCondition(condition, metrics, compared.gains));
    reasons.push(...checks.flatMap(({ reasons }) => reasons));
    return { isPassed: reasons.length === 0, reasons, checks, ...ids };
  }

  async #refsOf({ candidate, holder }: Situation): Promise<(version: JudgedVersion | null) => string> {
    const ids = holder === null ? [candidate.versionId] : [candidate.versionId, holder.versionId];
    const versions = await findVersionsByIds(this.#parts.db, SYSTEM, ids);
    return (version) => versions.find(({ id }) => id === version?.versionId)?.ref ?? 'a deleted version';
  }

  /** Of the candidate over the present version, in the metrics with a margin; null if it is not compared. */
  async #gains(
    { gate, candidate, holder }: Situation,
    comparedFor: ComparedFor,
  ): Promise<{ readonly gains: readonly MetricGain[] | null; readonly problem: string | null }> {
    const metrics = gate.conditions
      .filter(({ margin }) => margin !== null)
      .map(({ name, average, label }) => ({ name, average, label }));
    if (metrics.length === 0 || holder === null || holder.refusal !== null) return { gains: null, problem: null };
    try {
      const [held, other] = [await this.#evaluated(gate, holder), await this.#evaluated(gate, candidate)];
      if (!held || !other) return { gains: null, problem: 'the dataset or a version was just deleted' };
      const wanted = { holder: held, candidates: [other], rowsSha256: gate.rowsSha256, metrics };
      const [compared] = await this.#parts.comparisons.compare({ ...wanted, kind: 'gains' }, comparedFor);
      const problem = compared?.problem ?? null;
      return { gains: problem === null ? (compared?.gains ?? null) : null, problem };
    } catch (error) {
      if (error instanceof UploadLimitError) throw error;
      // A gate that cannot be judged stays closed, but can be overridden.
      if (!(error instanceof AppError)) this.#parts.log.error({ err: error }, 'a version could not be compared');
      return {
        gains: null,
        problem: error instanceof AppError ? error.message : 'an internal error, which the log has',
      };
    }
  }

  async #evaluated(gate: StoredGate, { versionId, evaluation }: JudgedVersion): Promise<ComparedEvaluation | null> {
    const { db } = this.#parts;
    const dataset = await findEvaluatedDataset(db, SYSTEM, gate.datasetId);
    const spec = (await findSpecs(db, SYSTEM, [versionId]))[0]?.spec;
    if (!dataset || !spec || !evaluation) return null;
    const labels = labelsIn(spec, { target: dataset.target, columns: JSON.parse(dataset.columns) });
    return { id: evaluation.id, artifactSha256: evaluation.artifact_sha256, labels };
  }
}

/** Evaluations that are missing or do not count. */
function refusalsOf(
  { gate, candidate, holder }: Situation,
  refOf: (version: JudgedVersion | null) => string,
): GateReason[] {
  const { datasetName, conditions } = gate;
  const call = (ref: string) =>
    `call evaluate(input: { version: "${ref}", dataset: "${datasetName}" }), and try again when it has SUCCEEDED`;
  const texts = (ref: string) => ({
    NOT_EVALUATED: `${ref} has no evaluation by this server on ${datasetName} with the execution provider and ONNX Runtime that it has now; ${call(ref)}`,
    OTHER_ROWS: `${ref} was evaluated on other rows of ${datasetName} than those of the gate, or for another target; if the dataset has changed since the gate was set, set it again; then ${call(ref)}`,
    ON_TRAINING_DATA: `${ref} was trained on the rows of ${datasetName}`,
  });
  const reasons: GateReason[] = [];
  if (candidate.refusal !== null)
    reasons.push({ code: candidate.refusal, message: texts(refOf(candidate))[candidate.refusal] });
  if (holder?.refusal == null || conditions.every(({ margin }) => margin === null)) return reasons;
  const code = holder.refusal === 'ON_TRAINING_DATA' ? 'HOLDER_ON_TRAINING_DATA' : 'HOLDER_NOT_EVALUATED';
  const message = `the present version ${texts(refOf(holder))[holder.refusal]}`;
  return [...reasons, { code, message }];
}
