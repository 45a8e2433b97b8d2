/**
 * Builds the spec of a version from model.yaml, the Hugging Face files and the graph, in this order of precedence.
 */
import { ManifestError } from '../errors.js';
import type { AnyTask } from '../tasks/define-task.js';
import { OPEN_BATCH } from '../tasks/graph-failures.js';
import { labelsOfGraph } from '../tasks/label-outputs.js';
import type { GraphFacts, TaskSources } from '../tasks/sources.js';
import type { Activation, SpecBase, TensorSpec } from '../tasks/spec.js';
import { inputsOf, PLAIN_TASK, taskNamed, type VersionSpec } from '../tasks/tasks.js';
import { shapeText } from '../tasks/tensors.js';
import { bytesSpecOf } from './bytes-spec.js';
import { columnsOf, firstDuplicate } from './columns.js';
import { exampleOf } from './example.js';
import { defaultLabels, labelsOfConfig } from './hugging-face.js';
import { imageSpecOf, takesOneImage } from './image-spec.js';
import type { ModelManifest } from './manifest.js';
import { type SpecSources, textSpecOf } from './text-spec.js';

/** @throws ManifestError that lists everything that is missing or does not match the graph */
export function specOf(sources: SpecSources): VersionSpec {
  const { manifest, facts } = sources;
  const { yaml } = manifest;
  const { inputs, outputs } = facts;
  const task = taskNamed(yaml.task);
  const { image, text, head, ...parts } = partsOf(sources, task);
  const isOneImage = image?.layout.length === 3;
  const fixed = inputs.find(({ shape }) => isOneImage || shape[0] !== null);
  const base = {
    inputs,
    outputs,
    ...parts,
    example: {},
    maxBatch: fixed ? 1 : yaml.maxBatch,
    // Shapes of outputs may be declared wrongly: the test of batches shows whether they have one row per input row.
    maxBatchReason: fixed
      ? reasonOfFixedBatch(fixed, isOneImage)
      : yaml.maxBatch === 1
        ? 'model.yaml sets maxBatch to 1'
        : 'not tested yet',
    maxRunMs: yaml.maxRunMs,
    operationsPerValue: facts.operationsPerValue,
  } satisfies SpecBase;
  const ofTask = {
    task: yaml.task,
    inputKind: inputsOf(task, { inputs, columns: parts.columns })[0]?.kind,
    image,
    text,
    head,
  } satisfies Record<Exclude<keyof VersionSpec, keyof SpecBase>, unknown>;
  // The compiler cannot check that the parts belong to the task, which is only known at run time.
  const spec = { ...base, ...ofTask } as unknown as VersionSpec;
  return { ...spec, example: exampleOf(spec, manifest) };
}

/**
 * The spec of the same version for which the task is not known: it returns the outputs of the graph as they are. Null if
 * the task does not read rows, or the columns do not fit the graph.
 */
export function specOfTensors({ manifest, ...sources }: SpecSources): VersionSpec | null {
  if (taskNamed(manifest.yaml.task).part !== 'row') return null;
  try {
    const found = columnsOf(manifest.yaml, sources.facts.inputs, sources.facts.knownCategories);
    const columns = found.map((column) => ({ ...column, categories: [...column.categories] }));
    return specOf({ ...sources, manifest: { ...manifest, yaml: { ...manifest.yaml, task: PLAIN_TASK, columns } } });
  } catch (error) {
    if (error instanceof ManifestError) return null;
    throw error;
  }
}

/** Builds each part separately, so that the model owner gets all problems at once. */
function partsOf(sources: SpecSources, { part, ...task }: AnyTask) {
  const reasons: string[] = [];
  const attempt = <T>(read: () => T): T | null => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error;
      reasons.push(error.message);
      return null;
    }
  };
  const { hf, facts, manifest } = sources;
  if (part !== 'tensors') refuseLostConstants(facts.inputs);
  const { labels: yamlLabels, targets = [] } = manifest.yaml;
  const labels = attempt(() => labelsOfVersion(sources)) ?? [];
  const isSingle = (input: TensorSpec) => part === 'image' && takesOneImage(input, manifest.yaml.image?.layout);
  if (part !== 'tensors') attempt(() => checkBatchSize(facts.inputs.filter((input) => !isSingle(input))));
  const head = attempt(() => task.head(taskSourcesOf(sources, labels)));
  if (task.hasLabels && targets.length === 0 && (reasons.length === 0 || labels.length === 0))
    attempt(() => checkLabels(head, { labels, yamlLabels }, facts.outputs));
  const hasRows = readsRows(sources, { part, ...task });
  const parts = {
    // Each target has its own.
    labels: head?.kind === 'targets' ? [] : labels,
    columns: (hasRows && attempt(() => columnsOf(manifest.yaml, facts.inputs, facts.knownCategories))) || [],
    image:
      part === 'image'
        ? attempt(() =>
            imageSpecOf({
              yaml: manifest.yaml,
              imageKeys: manifest.imageKeys,
              hf,
              facts,
              isYolo: head?.kind === 'yolo',
            }),
          )
        : null,
    ...(hasRows && manifest.yaml.series?.layout === 'NFT' ? { seriesLayout: 'NFT' as const } : {}),
    ...(part === 'bytes' && attempt(() => ({ bytes: bytesSpecOf(manifest.yaml, facts.inputs) }))),
    text:
      !hasRows && (part === 'text' || part === 'tokens') ? attempt(() => textSpecOf(sources, { part, ...task })) : null,
  };
  if (!head || reasons.length > 0) throw new ManifestError([...new Set(reasons)].join('; '));
  return { ...parts, head };
}

/** Tasks that also read texts or tensors read rows if model.yaml has columns, or a graph for texts reads no tokens. */
function readsRows({ manifest: { yaml }, tokenizerSha256, facts: { inputs } }: SpecSources, task: AnyTask): boolean {
  if (task.part === 'row' || !task.reads.some(({ kind }) => kind === 'ROW')) return task.part === 'row';
  const hasTokens = tokenizerSha256 !== null || !inputs.every(({ datatype }) => datatype.startsWith('FP'));
  return yaml.columns.length > 0 || (task.part === 'text' && !hasTokens);
}

/** What a task reads to find out what the outputs of the graph mean. */
export function taskSourcesOf({ manifest: { yaml }, facts, hf }: SpecSources, labels: readonly string[]): TaskSources {
  const { task, output, multiLabel, targets = [] } = yaml;
  const isStretched = !yaml.image && hf.preprocessor !== null && hf.config !== null;
  return { task, output, multiLabel, labels, givenLabels: yaml.labels, targets, facts, hf, isStretched };
}

function labelsOfVersion(sources: SpecSources): readonly string[] {
  const { manifest, facts } = sources;
  return manifest.yaml.labels.length > 0 ? manifest.yaml.labels : (facts.zipMap?.labels ?? labelsOfFiles(sources));
}

function labelsOfFiles({ manifest, hf, facts }: SpecSources): readonly string[] {
  const labels = labelsOfConfig(hf);
  if (labels.length > 0) return labels;
  const own = namesOfImageModel(manifest, facts) ?? labelsOfGraph(facts);
  if (own.length > 0 || !/(?<!TABULAR)_CLASSIFICATION$/.test(manifest.yaml.task)) return own;
  const defaults = defaultLabels(hf);
  const mayFit = facts.outputs.some(({ shape }) => (shape.at(-1) ?? defaults.length) === defaults.length);
  return mayFit ? defaults : [];
}

/** Other tools may use the same key of the metadata for names of something else. */
function namesOfImageModel({ yaml }: ModelManifest, { classNames }: GraphFacts): readonly string[] | null {
  return taskNamed(yaml.task).part === 'image' ? classNames : null;
}

// ── batch size ──

function reasonOfFixedBatch({ name, shape }: TensorSpec, isOneImage: boolean): string {
  if (isOneImage) return `input "${name}" has no dimension for the batch, so that inputs run one at a time`;
  if (shape.length === 0) return `input "${name}" is a scalar, so that inputs run one at a time`;
  return `the first size of input "${name}", ${shapeText(shape)}, is fixed, so that inputs run one at a time: export with an open batch size (${OPEN_BATCH})`;
}

/** A task preprocesses one row for each input, and the graph must accept it. */
function checkBatchSize(inputs: readonly TensorSpec[]): void {
  const frozen = inputs.find(({ shape }) => shape.length > 0 && shape[0] !== null && shape[0] !== 1);
  if (!frozen) return;
  const { name, shape } = frozen;
  throw new ManifestError(
    `input "${name}" has shape ${shapeText(shape)}: its first size, the batch, is frozen at ${shape[0]}, but inputs come one at a time: export with an open batch size (${OPEN_BATCH}), or with a batch size of 1`,
  );
}

// ── inputs ──

/** How tf2onnx names a constant of a Keras layer that it has made an input, such as "model/normalization/Sub/y:0". */
const LOST_CONSTANT = /\/[^/]*normalization[^/]*\/[^:]*\/[xy]:\d+$/i;

function refuseLostConstants(inputs: readonly TensorSpec[]): void {
  const lost = inputs.filter(({ name }) => LOST_CONSTANT.test(name)).map(({ name }) => `"${name}"`);
  if (lost.length === 0 || lost.length === inputs.length) return;
  throw new ManifestError(
    `the inputs ${lost.slice(0, 4).join(', ')} are constants of a Keras Normalization layer that tf2onnx has not kept: give them their values with onnx (graph.initializer.append(onnx.numpy_helper.from_array(value, name))), or export the model without the layer and send normalized values`,
  );
}

// ── labels ──

/** Duplicate labels are refused in model.yaml only: published models have some, and their labels cannot be changed. */
function checkLabels(
  head: { readonly kind: string; readonly output?: string; readonly activation?: Activation } | null,
  { labels, yamlLabels }: { labels: readonly string[]; yamlLabels: readonly string[] },
  outputs: readonly TensorSpec[],
): void {
  if (head?.kind === 'targets') return;
  if (head?.kind === 'label') return;
  const output = outputs.find(({ name }) => name === head?.output);
  if (labels.length === 0)
    throw new ManifestError(
      'model.yaml: labels is missing: list one label per score, in the order of the scores; or add id2label to config.json, or export with zipmap (skl2onnx)',
    );
  const duplicate = firstDuplicate(yamlLabels);
  if (duplicate !== undefined) throw new ManifestError(`model.yaml: label "${duplicate}" is listed twice`);
  const width = output?.shape.at(-1) ?? null;
  const isBinary = head?.kind === 'scores' && head.activation !== 'softmax' && width === 1 && labels.length === 2;
  if (!output || width === null || width === labels.length || isBinary) return;
  const file = yamlLabels.length > 0 ? 'model.yaml' : 'config.json';
  throw new ManifestError(
    `${file}: the number of labels is ${labels.length}, but output "${output.name}" has shape ${shapeText(output.shape)}`,
  );
}
