import { Arg, Ctx, FieldResolver, Mutation, Resolver, Root } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { InferenceFailedError, NotFoundError } from '../errors.js';
import { type Args, Cost, POINTS_PER_CHANGE } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { InferenceFailed, Problem, payloadOf } from '../graphql/problem.type.js';
import { SafeInt } from '../graphql/scalars.js';
import { Evaluation } from './evaluation.type.js';
import {
  CancelEvaluationInput,
  ConfusionMatrix,
  Curve,
  CurveKind,
  EvaluateInput,
  EvaluationPayload,
  EvaluationProgress,
  EvaluationRowProblem,
  EvaluationSlice,
} from './evaluation-job.type.js';
import { MAX_FAILED_SHARE, MAX_ROW_PROBLEMS } from './evaluation-run.js';
import type { Evaluator } from './evaluator.js';
import { DEFAULT_REPEATS, type Importance, MAX_REPEATS } from './importance.js';
import type { EvaluationContext } from './loaders.js';
import { MAX_SLICES } from './slices.js';

/** Rows are run at low priority, one batch at a time. */
const POINTS_PER_EVALUATION = 1_000;
const POINTS_PER_REPEAT = 100;
const POINTS_PER_PART = 10;

function priceOfEvaluation({ input }: Args): number {
  const { importance } = input as EvaluateInput;
  const repeats = importance ? Math.min(Math.max(1, importance.repeats ?? DEFAULT_REPEATS), MAX_REPEATS) : 0;
  return POINTS_PER_CHANGE + POINTS_PER_EVALUATION + POINTS_PER_REPEAT * repeats;
}

@Resolver(() => Evaluation)
export class EvaluationJobResolver {
  constructor(private readonly evaluator: Evaluator) {}

  @Policy('contribute')
  @Cost({ points: priceOfEvaluation })
  @Mutation(() => EvaluationPayload, {
    nullable: true,
    description: `Records an evaluation of a version on a dataset, and returns at once; or returns the one of the same version, dataset, slices and importance, with the same execution provider and runtime, if there is one that has SUCCEEDED, or that your account has begun. It goes on in the background, at low priority, also after a restart: ask for it again, about once a second, until its \`jobState\` is SUCCEEDED, FAILED or CANCELLED. It fails if the version does not answer more than ${MAX_FAILED_SHARE * 100}% of the rows. For versions that answer classes, numbers, objects, masks, entities, answers to questions, ranked documents or similarities. Needs the role evaluator, or a model of your account. Problems: InvalidInput, NotFound, NotReady, Overloaded (too many evaluations are waiting), Forbidden, StorageFull.`,
  })
  async evaluate(
    @Arg('input', () => EvaluateInput, { description: 'What to evaluate.' }) input: EvaluateInput,
    @Ctx() { principal, catalogLoaders, evaluationLoaders }: EvaluationContext,
  ): Promise<EvaluationPayload> {
    const { result, problem } = await payloadOf(async () => {
      const version = await catalogLoaders.getVersion(input.version, ['input', 'version']);
      const model = await catalogLoaders.model.load(version.modelId);
      if (!model) throw new NotFoundError(`The version "${input.version}"`);
      const dataset = await catalogLoaders.getDataset(input.dataset);
      const { id } = await this.evaluator.evaluate({ version, model, datasetId: dataset.id }, input, principal);
      return evaluationLoaders.evaluation.clear(id).load(id);
    });
    return { evaluation: result, problem };
  }

  @Policy('contribute')
  @Cost({ points: POINTS_PER_CHANGE })
  @Mutation(() => EvaluationPayload, {
    nullable: true,
    description:
      'Cancels an evaluation that your account has asked for; administrators cancel any. One that has ended stays as it is. Problems: InvalidInput, NotFound, Forbidden, StorageFull.',
  })
  async cancelEvaluation(
    @Arg('input', () => CancelEvaluationInput, { description: 'The evaluation.' }) input: CancelEvaluationInput,
    @Ctx() { principal, evaluationLoaders }: EvaluationContext,
  ): Promise<EvaluationPayload> {
    const { result, problem } = await payloadOf(async () => {
      const id = input.evaluation;
      if (!(await evaluationLoaders.evaluation.load(id)))
        throw new NotFoundError(`The evaluation "${id.slice(0, 80)}"`);
      await this.evaluator.cancel(input, principal);
      return evaluationLoaders.evaluation.clear(id).load(id);
    });
    return { evaluation: result, problem };
  }

  @FieldResolver(() => EvaluationProgress, {
    nullable: true,
    description: 'How far it is; null unless it is QUEUED or RUNNING.',
  })
  async progress(
    @Root() { id, jobState }: Evaluation,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Promise<EvaluationProgress | null> {
    if (jobState !== 'QUEUED' && jobState !== 'RUNNING') return null;
    const job = await evaluationLoaders.job.load(id);
    if (!job) return null;
    const { row_count, done_rows, done_columns } = job;
    const importance: Importance | null = JSON.parse(job.importance);
    const all = row_count * (1 + (importance ? importance.columns * importance.repeats : 0));
    const done = done_rows + row_count * done_columns * (importance?.repeats ?? 0);
    const rowsPerSecond = this.evaluator.rowsPerSecond(id);
    const remainingMs = rowsPerSecond && ((all - done) * 1_000) / rowsPerSecond;
    return create(EvaluationProgress, { percent: (done * 100) / all, rowsPerSecond, remainingMs });
  }

  @FieldResolver(() => Problem, { nullable: true, description: 'Why it FAILED; null otherwise.' })
  async problem(
    @Root() { id, jobState }: Evaluation,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Promise<Problem | null> {
    const reason = jobState === 'FAILED' ? (await evaluationLoaders.job.load(id))?.problem : null;
    if (reason == null) return null;
    // It is about all rows, and not about one input.
    return Object.assign(new InferenceFailed(new InferenceFailedError(reason)), { message: reason });
  }

  @FieldResolver(() => SafeInt, {
    nullable: true,
    description: 'Number of rows so far that the version did not answer, which no metric counts; null if IMPORTED.',
  })
  async failedRows(
    @Root() { id }: Evaluation,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Promise<number | null> {
    return (await evaluationLoaders.job.load(id))?.failed_rows ?? null;
  }

  @Cost({ elements: MAX_ROW_PROBLEMS })
  @FieldResolver(() => [EvaluationRowProblem], {
    description: `The first ${MAX_ROW_PROBLEMS} rows that the version did not answer.`,
  })
  async rowProblems(
    @Root() { id }: Evaluation,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Promise<EvaluationRowProblem[]> {
    return JSON.parse((await evaluationLoaders.job.load(id))?.row_problems ?? '[]');
  }

  @FieldResolver(() => String, {
    nullable: true,
    description: 'Execution provider that the rows were run with, such as "cpu"; null if IMPORTED.',
  })
  async executionProvider(
    @Root() { id }: Evaluation,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Promise<string | null> {
    return (await evaluationLoaders.job.load(id))?.provider ?? null;
  }

  @FieldResolver(() => String, { nullable: true, description: 'Version of ONNX Runtime; null if IMPORTED.' })
  async runtimeVersion(
    @Root() { id }: Evaluation,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Promise<string | null> {
    return (await evaluationLoaders.job.load(id))?.runtime ?? null;
  }

  @Cost({ points: POINTS_PER_PART })
  @FieldResolver(() => ConfusionMatrix, {
    nullable: true,
    description: 'Confusion matrix; null unless it is COMPUTED, of classes, and SUCCEEDED.',
  })
  async confusionMatrix(
    @Root() { id }: Evaluation,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Promise<ConfusionMatrix | null> {
    const [part] = await evaluationLoaders.parts(id, 'CONFUSION');
    return part ? create(ConfusionMatrix, JSON.parse(part.content)) : null;
  }

  @Cost({ points: POINTS_PER_PART })
  @FieldResolver(() => [Curve], {
    description:
      'Curves of each class; none for labels without scores, numbers, more than 20 classes, and evaluations that are not COMPUTED.',
  })
  async curves(
    @Root() { id }: Evaluation,
    @Arg('kind', () => CurveKind, { description: 'Kind of curve.' }) kind: keyof typeof CurveKind,
    @Arg('label', () => String, { nullable: true, description: 'Only of this class. Default: of each.' })
    label: string | null,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Promise<Curve[]> {
    const parts = await evaluationLoaders.parts(id, kind, label ?? null);
    return parts.map((part) => create(Curve, { label: part.label, ...JSON.parse(part.content) }));
  }

  @Cost({ points: POINTS_PER_PART, elements: MAX_SLICES })
  @FieldResolver(() => [EvaluationSlice], {
    description: 'Slices that were asked for; of a column with each value as a slice, those with most rows first.',
  })
  async slices(
    @Root() { id }: Evaluation,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Promise<EvaluationSlice[]> {
    const parts = await evaluationLoaders.parts(id, 'SLICE');
    return parts.map(({ content }) => create(EvaluationSlice, JSON.parse(content)));
  }
}
