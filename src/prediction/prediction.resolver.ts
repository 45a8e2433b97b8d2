import type { GraphQLResolveInfo } from 'graphql';
import { Arg, Ctx, FieldResolver, ID, Info, Int, Mutation, Query, Resolver, Root } from 'type-graphql';
import { mayReadPredictionsOf } from '../access/grants.js';
import { allows, Policy } from '../access/policy.js';
import { InputKind } from '../catalog/signature.type.js';
import { Version } from '../catalog/version.type.js';
import { checkRange } from '../graphql/check-range.js';
import { AFTER, FIRST } from '../graphql/connection.type.js';
import { Cost } from '../graphql/cost.js';
import { payloadOf } from '../graphql/problem.type.js';
import { ModelInputValue } from '../graphql/scalars.js';
import { selects } from '../graphql/selection.js';
import { JsonText, Sized } from '../graphql/sized.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { PredictionDatabase } from '../storage/database.js';
import { listId } from '../storage/pages.js';
import type { InputKind as InputKindName } from '../tasks/tasks.js';
import type { WideColumns } from './answer-columns.js';
import { decodeAnswer } from './answer-json.js';
import type { History } from './history.js';
import type { PredictionContext } from './loaders.js';
import type { SelectedFields } from './many-predictions.js';
import { Output, outputOf } from './output.type.js';
import { Picture } from './picture.type.js';
import type { PictureUrls } from './picture-urls.js';
import { PredictInput, PredictionFilter, PredictManyInput } from './prediction.input.js';
import { findPredictionPage } from './prediction.queries.js';
import {
  type NewContents,
  Prediction,
  PredictionConnection,
  PredictManyPayload,
  PredictPayload,
  Runtime,
  type StoredContents,
  Timing,
} from './prediction.type.js';
import { runOf, runsOfMany, versionOf } from './prediction-cost.js';
import type { Predictions } from './predictions.js';
import {
  base64Bytes,
  type InputSummary,
  jsonBytesOfImage,
  jsonOfImage,
  MAX_PREVIEW_CHARACTERS,
  previewOf,
  summaryOf,
} from './recorded-input.js';
import type { StoredRow } from './sealed-contents.js';

/** A filter may look at many rows for each that it finds. */
const FILTER_POINTS = 100;

/** What an input is stored in. */
interface StoredInput {
  readonly row: StoredRow | null;
  readonly blob: Buffer | null;
}

/** The fields of a prediction that was just made need no loaders, so they take none from the context. */
@Resolver(() => Prediction)
export class PredictionResolver {
  constructor(
    private readonly predictions: Predictions,
    private readonly history: History,
    private readonly blobs: BlobFolder,
    private readonly urls: PictureUrls,
  ) {}

  @Policy('predict')
  @Cost({ version: versionOf, runs: runOf })
  @Mutation(() => PredictPayload, {
    nullable: true,
    description:
      'Runs a model on one input and returns the prediction. Null only with an entry in `errors`, such as INTERNAL_SERVER_ERROR. Problems: all types except Forbidden.',
  })
  async predict(
    @Arg('input', () => PredictInput, { description: 'Version, input and options.' }) input: PredictInput,
    @Ctx() context: PredictionContext,
  ): Promise<PredictPayload> {
    const { result, problem } = await payloadOf(() => this.predictions.predict(input, context));
    return { prediction: result?.prediction ?? null, problem, replayed: result?.replayed ?? false };
  }

  @Policy('predict')
  @Cost({ version: versionOf, runs: runsOfMany })
  @Mutation(() => PredictManyPayload, {
    nullable: true,
    description:
      'Runs a model on up to `limits.maxBatch` inputs or rows, in shared batches, and returns the results as objects or as columns. Prefer it to several `predict` fields, which run one after another. Null only with an entry in `errors`. Problems: all types except Forbidden and IdempotencyConflict.',
  })
  async predictMany(
    @Arg('input', () => PredictManyInput, { description: 'Version, inputs and options.' }) input: PredictManyInput,
    @Ctx() context: PredictionContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<PredictManyPayload> {
    const wanted = selectedFields(info);
    const { result, problem } = await payloadOf(() => this.predictions.predictMany(input, context, wanted));
    // Executing the selection waits for what is selected.
    if (!wanted.results && !wanted.columns) await result?.done;
    return { results: result?.takeResults() ?? null, columns: result?.columns ?? null, problem };
  }

  @Policy('history')
  @Query(() => Prediction, {
    nullable: true,
    description: 'One of your stored predictions; null if it does not exist or is not yours.',
  })
  prediction(
    @Arg('id', () => ID, { description: 'Id of the prediction.' }) id: string,
    @Ctx() { predictionLoaders }: PredictionContext,
  ): Promise<Prediction | null> {
    return predictionLoaders.prediction.load(id);
  }

  @Policy('history')
  @Cost({ points: ({ filter }) => (filter == null ? 0 : FILTER_POINTS) })
  @Query(() => PredictionConnection, {
    name: 'predictions',
    nullable: true,
    description: 'Your stored predictions, newest first.',
  })
  async list(
    @Arg('filter', () => PredictionFilter, {
      nullable: true,
      description: 'Conditions that predictions must meet. Default: none.',
    })
    filter: PredictionFilter | null,
    @Arg('first', () => Int, { defaultValue: 20, description: FIRST }) first: number,
    @Arg('after', () => String, { nullable: true, description: AFTER }) after: string | null,
    @Ctx() context: PredictionContext,
  ): Promise<PredictionConnection> {
    return new PredictionConnection(await this.history.page(context, filter ?? {}, { first, after }));
  }

  @FieldResolver(() => Version, {
    nullable: true,
    description: 'Version that made the prediction; null if you may not see it.',
  })
  predictedBy(
    @Root() { versionId }: Prediction,
    @Ctx() { catalogLoaders }: PredictionContext,
  ): Promise<Version | null> {
    return catalogLoaders.version.load(versionId);
  }

  // Read, and written.
  @Cost({ bytes: (_, { prediction }) => 2 * prediction.inputBytes })
  @FieldResolver(() => ModelInputValue, {
    nullable: true,
    description: 'Input as it was sent; null if the prediction is not stored.',
  })
  async input(
    @Root() { id, contents }: Prediction,
    @Ctx() context: PredictionContext,
  ): Promise<Sized<JsonText, StoredInput> | Sized<JsonText> | null> {
    if (!contents.isStored) return newInputOf(contents);
    const { inputSha256, inputBytes } = contents;
    const bytes = inputSha256 === null ? inputBytes : await this.blobs.size(inputSha256);
    if (bytes === null) return null;
    const image = inputSha256 === null ? null : await context.predictionLoaders.picture.load(id);
    // The blob of an image has its bytes; what stood before its base64 is in the row.
    const jsonBytes = image ? (inputBytes ?? 0) + base64Bytes(image.size_bytes) : bytes;
    return new Sized(
      { readBytes: bytes, jsonBytes, isRecorded: true },
      async () => {
        const row = await context.predictionLoaders.input.load(id);
        return { row, blob: inputSha256 === null ? null : await this.blobs.get(inputSha256) };
      },
      ({ row, blob }) => new JsonText(row?.input(blob) ?? 'null'),
    );
  }

  @FieldResolver(() => InputKind, {
    nullable: true,
    description:
      'Key of `ModelInput` that was sent; null if the prediction is not stored, or has a large input that an earlier release has recorded.',
  })
  inputKind(
    @Root() { id, contents }: Prediction,
    @Ctx() context: PredictionContext,
  ): InputKindName | null | Sized<InputKindName | null, StoredRow | null> {
    if (!contents.isStored) return newSummary(contents)?.kind ?? null;
    return this.#summary(id, contents, context, (summary) => summary?.kind ?? null);
  }

  @Cost({ bytes: ({ maxChars }) => Number(maxChars) })
  @FieldResolver(() => String, {
    nullable: true,
    description:
      'Beginning of the input, for people to read: of its text, or of its values as JSON. Ends with "…" if the input is longer. Null for images and files, and where `inputKind` is.',
  })
  inputPreview(
    @Root() { id, contents }: Prediction,
    @Arg('maxChars', () => Int, {
      defaultValue: 200,
      description: `Characters at most, 1 to ${MAX_PREVIEW_CHARACTERS}.`,
    })
    maxChars: number,
    @Ctx() context: PredictionContext,
  ): string | null | Sized<string | null, StoredRow | null> {
    checkRange('maxChars', maxChars, 1, MAX_PREVIEW_CHARACTERS);
    const pick = (summary: InputSummary | null) =>
      summary?.preview == null ? null : previewOf(summary.preview, maxChars);
    if (!contents.isStored) return pick(newSummary(contents));
    return this.#summary(id, contents, context, pick);
  }

  /** Reads the row, but no blob. */
  #summary<T>(
    id: string,
    { inputBytes }: StoredContents,
    { predictionLoaders }: PredictionContext,
    pick: (summary: InputSummary | null) => T,
  ): Sized<T, StoredRow | null> {
    return new Sized(
      { readBytes: inputBytes ?? 0, isRecorded: true },
      () => predictionLoaders.input.load(id),
      (row) => pick(row?.inputSummary() ?? null),
    );
  }

  @FieldResolver(() => Picture, {
    nullable: true,
    description:
      'Image that was sent, by its URL. Null for other inputs, if the prediction is not stored or was recorded by an earlier release, and if you may not read predictions.',
  })
  async picture(@Root() { id, contents }: Prediction, @Ctx() context: PredictionContext): Promise<Picture | null> {
    const { principal } = context;
    const urlOf = (maxSize: number) => this.urls.of(principal, { id, name: 'input', maxSize });
    if (!contents.isStored)
      return contents.image && allows('history', principal) ? new Picture(contents.image.facts, urlOf) : null;
    const found = await context.predictionLoaders.picture.load(id);
    if (!found) return null;
    const { width, height, media_type: mediaType } = found;
    return new Picture({ width, height, mediaType }, urlOf);
  }

  @FieldResolver(() => Output, {
    nullable: true,
    description:
      "Answer of the model. Its type depends on the version's task. Null if it was left out with the error RESPONSE_TOO_LARGE or OVERLOADED.",
  })
  output(
    @Root() { id, versionId, recorded, contents }: Prediction,
    @Ctx() context: PredictionContext,
  ): typeof Output | Sized<typeof Output | null, StoredRow | null> {
    if (!contents.isStored) return outputOf(contents.answer, contents.labels, recorded ? id : null);
    return new Sized(
      { readBytes: contents.answerBytes, isRecorded: true },
      () => context.predictionLoaders.answer.load(id),
      async (row) => {
        if (row === null) return null;
        const answer = decodeAnswer(row.answer());
        const needsLabels = answer.kind === 'classification' && answer.labels === undefined;
        if (!needsLabels) return outputOf(answer, [], id);
        const spec = await context.catalogLoaders.labels.load(versionId);
        // The model was deleted, and its predictions are about to be.
        return spec && outputOf(answer, spec.labels, id);
      },
    );
  }

  @FieldResolver(() => Boolean, {
    description: 'Whether part of the input was left out because it exceeds `signature.maxTokens`.',
  })
  async truncated(
    @Root() { id, contents }: Prediction,
    @Ctx() context: PredictionContext,
  ): Promise<boolean | Sized<boolean, StoredRow | null>> {
    if (!contents.isStored) return contents.answer.isTruncated ?? false;
    const recorded = (await context.predictionLoaders.details.load(id))?.truncated ?? null;
    if (recorded !== null) return recorded;
    return new Sized(
      { readBytes: contents.answerBytes, isRecorded: true },
      () => context.predictionLoaders.answer.load(id),
      (row) => (row !== null && decodeAnswer(row.answer()).isTruncated) ?? false,
    );
  }

  @FieldResolver(() => Timing, { nullable: true, description: 'Duration of each step; null if unknown.' })
  timing(
    @Root() { id, contents }: Prediction,
    @Ctx() context: PredictionContext,
  ): Timing | null | Promise<Timing | null> {
    return contents.isStored ? detailOf(id, 'timing', context) : contents.timing;
  }

  @FieldResolver(() => Runtime, {
    nullable: true,
    description: 'Hardware and model file that computed the answer; null if unknown.',
  })
  runtime(
    @Root() { id, contents }: Prediction,
    @Ctx() context: PredictionContext,
  ): Runtime | null | Promise<Runtime | null> {
    return contents.isStored ? detailOf(id, 'runtime', context) : contents.runtime;
  }
}

function selectedFields(info: GraphQLResolveInfo): SelectedFields {
  const isWide = (name: keyof WideColumns) => selects(info, 'columns', name);
  const columns = { classScores: isWide('classScores'), values: isWide('values'), tensors: isWide('tensors') };
  return { results: selects(info, 'results'), columns: selects(info, 'columns') ? columns : null };
}

async function detailOf<Name extends 'timing' | 'runtime'>(
  id: string,
  name: Name,
  { predictionLoaders }: PredictionContext,
) {
  return (await predictionLoaders.details.load(id))?.[name] ?? null;
}

/** The input of a prediction that was just made. */
function newInputOf({ inputJson, image }: NewContents): Sized<JsonText> | null {
  if (inputJson !== null) return new Sized({ jsonBytes: Buffer.byteLength(inputJson) }, () => new JsonText(inputJson));
  if (!image) return null;
  const { bytes, prefix } = image;
  return new Sized(
    { jsonBytes: jsonBytesOfImage(prefix, bytes.length) },
    () => new JsonText(jsonOfImage(prefix, bytes)),
  );
}

function newSummary({ input, inputJson }: NewContents): InputSummary | null {
  return input && summaryOf(input, inputJson ?? '');
}

@Resolver(() => Version)
export class VersionPredictionsResolver {
  constructor(private readonly db: PredictionDatabase) {}

  @Policy('history')
  @FieldResolver(() => PredictionConnection, {
    nullable: true,
    description:
      'Your stored predictions by this version, newest first. Null, with a FORBIDDEN error, if you may not read predictions.',
  })
  async predictions(
    @Root() version: Version,
    @Arg('first', () => Int, { defaultValue: 20, description: FIRST }) first: number,
    @Arg('after', () => String, { nullable: true, description: AFTER }) after: string | null,
    @Ctx() { principal }: PredictionContext,
  ): Promise<PredictionConnection> {
    const versionIds = mayReadPredictionsOf(principal, version.ref) ? [version.id] : [];
    const listing = { list: listId('Version.predictions', version.id), versionIds };
    return new PredictionConnection(await findPredictionPage(this.db, principal, listing, { first, after }));
  }
}
