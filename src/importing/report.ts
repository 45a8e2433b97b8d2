/** What an import has found out about a model, for its owner: as data and as text. */
import { SYSTEM } from '../access/principal.js';
import { findModelsByNames } from '../catalog/model.queries.js';
import { type Signature, signatureOf } from '../catalog/signature.type.js';
import { findSpecs, findVariants, findVersionIdsOfModels, findVersionsByIds } from '../catalog/version.queries.js';
import type { Variant, Version } from '../catalog/version.type.js';
import { shortened } from '../errors.js';
import type { CatalogDatabase } from '../storage/database.js';
import { listed } from '../tasks/problems.js';
import type { VersionSpec } from '../tasks/tasks.js';

interface VersionReport {
  readonly number: number;
  readonly state: Version['state'];
  readonly reason: string | null;
  readonly artifact:
    | (Pick<NonNullable<Version['artifact']>, 'sha256' | 'sizeBytes' | 'parameterCount' | 'opset' | 'producer'> & {
        readonly dataFiles: NonNullable<VersionSpec['dataFiles']>;
      })
    | null;
  readonly verification: Version['verification'];
  readonly maxBatch: number | null;
  readonly maxBatchReason: string | null;
  readonly signature: Signature | null;
  readonly variants: readonly Variant[];
}

export interface ModelReport {
  readonly model: string;
  readonly task: string | null;
  readonly title: string | null;
  /** Why the folder could not be imported; null if it could. */
  readonly reason: string | null;
  readonly versions: readonly VersionReport[];
  /** What the import has logged as a warning or an error. */
  readonly messages: readonly string[];
}

export async function readReport(
  db: CatalogDatabase,
  name: string,
  found: Pick<ModelReport, 'reason' | 'messages'>,
): Promise<ModelReport> {
  const [model] = await findModelsByNames(db, SYSTEM, [name]);
  if (!model) return { model: name, task: null, title: null, versions: [], ...found };
  const ids = await findVersionIdsOfModels(db, SYSTEM, [model.id]);
  const specs = new Map((await findSpecs(db, SYSTEM, ids)).map(({ id, spec }) => [id, spec]));
  const variants = new Map((await findVariants(db, SYSTEM, ids)).map(({ id, variants }) => [id, variants]));
  const versions = (await findVersionsByIds(db, SYSTEM, ids))
    .sort((a, b) => a.number - b.number)
    .map((version) => reportOf(version, specs.get(version.id) ?? null, variants.get(version.id) ?? []));
  return { model: model.name, task: model.task, title: model.title, versions, ...found };
}

function reportOf(version: Version, spec: VersionSpec | null, variants: readonly Variant[]): VersionReport {
  const { number, state, stateReason: reason, artifact, verification } = version;
  return {
    number,
    state,
    reason,
    artifact: artifact && artifactOf(artifact, spec),
    verification,
    maxBatch: spec?.maxBatch ?? null,
    maxBatchReason: spec?.maxBatchReason ?? null,
    signature: spec && signatureOf(spec),
    variants,
  };
}

function artifactOf(
  { sha256, sizeBytes, parameterCount, opset, producer }: NonNullable<Version['artifact']>,
  spec: VersionSpec | null,
): VersionReport['artifact'] {
  return { sha256, sizeBytes, parameterCount, opset, producer, dataFiles: spec?.dataFiles ?? [] };
}

/** Whether a server could answer with every version. */
export function isUsable({ reason, versions }: ModelReport): boolean {
  return reason === null && versions.length > 0 && versions.every(({ state }) => state === 'READY');
}

export function reportText(report: ModelReport): string {
  const { model, task, title, reason, versions, messages } = report;
  const lines = [`${model}${task === null ? '' : ` (${task}): ${title}`}`];
  if (reason !== null) lines.push(`  the folder cannot be imported: ${reason}`);
  else if (versions.length === 0) lines.push('  the folder has no version');
  // A folder that cannot be read is listed as a version that failed for the same reason.
  for (const version of versions)
    if (reason === null || version.reason !== reason) lines.push(...versionLines(version));
  const said = [reason, ...versions.map((version) => version.reason)].filter((one) => one !== null);
  const others = messages.filter((message) => !said.some((one) => message.endsWith(one)));
  if (others.length > 0) lines.push('messages of the import:', ...others.map((message) => `  ${message}`));
  return lines.join('\n');
}

function versionLines(version: VersionReport): string[] {
  const { number, state, reason, artifact, verification, maxBatch, maxBatchReason, variants } = version;
  const lines = [`version ${number}: ${state}${reason === null ? '' : `: ${reason}`}`];
  if (artifact)
    lines.push(
      `  size: ${artifact.sizeBytes} bytes, opset ${artifact.opset ?? 'not stated'}, ${artifact.producer ?? 'producer not stated'}`,
    );
  for (const { location, sizeBytes } of artifact?.dataFiles ?? [])
    lines.push(`  data file: ${location}, ${sizeBytes} bytes`);
  lines.push(...signatureLines(version.signature));
  if (verification) lines.push(`  golden cases: ${verification.cases === 0 ? NO_GOLDENS : verification.summary}`);
  if (maxBatch !== null) lines.push(`  batches: up to ${maxBatch} (${maxBatchReason})`);
  for (const variant of variants)
    lines.push(`  variant ${variant.name}: ${variant.reason ?? `usable, ${variant.sizeBytes} bytes`}`);
  return lines;
}

function signatureLines(signature: Signature | null): string[] {
  if (!signature) return [];
  const { inputKind, columns, inputs, outputs, outputType, targets, labels, prompts, example } = signature;
  const tensors = (list: Signature['inputs']) =>
    list.map(({ name, datatype, shape }) => `${name} ${datatype} [${shape.map((size) => size ?? 'any').join(', ')}]`);
  const lines = [
    `  input: ${inputKind}, graph inputs ${tensors(inputs).join('; ')}`,
    `  graph outputs: ${tensors(outputs).join('; ')}`,
  ];
  for (const { name, type, categories } of columns)
    lines.push(`  column ${name}: ${type}${categories.length > 0 ? ` (${categories.join(', ')})` : ''}`);
  lines.push(`  answer: ${outputType}${targets.length > 0 ? ` of ${listed(targets, targetText)}` : ''}`);
  if (labels.length > 0) lines.push(`  labels: ${listed(labels)}`);
  if (prompts.length > 0) lines.push(`  prompts: ${listed(prompts, promptText)}`);
  lines.push(`  example: ${shortened(JSON.stringify(example), MAX_EXAMPLE)}`);
  return lines;
}

function targetText({ name, unit, labels }: Signature['targets'][number]): string {
  return `${name}${unit === null ? '' : ` (${unit})`}${labels.length === 0 ? '' : ` (${labels.length} classes)`}`;
}

function promptText({ name, text, isDefault }: Signature['prompts'][number]): string {
  return `${name}${isDefault ? ' (default)' : ''} ${JSON.stringify(text)}`;
}

const NO_GOLDENS = 'none; add golden.json to compare the answers with those of the source framework';
const MAX_EXAMPLE = 500;
