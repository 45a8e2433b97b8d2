/** The example of a version: from model.yaml, from the card, or generated. The graph is loaded and tested with it. */
import { ManifestError, shortened } from '../errors.js';
import { checkInput, taskNamed, type VersionSpec } from '../tasks/tasks.js';
import type { ModelManifest } from './manifest.js';

type Example = VersionSpec['example'];

/**
 * The example of model.yaml, or the first of the task's candidates that passes the check: an unsuitable widget input of a
 * card does not fail the version.
 *
 * @throws ManifestError if none passes
 */
export function exampleOf(spec: VersionSpec, manifest: ModelManifest): Example {
  const { yaml, widget } = manifest;
  const examples = yaml.example ? [yaml.example] : taskNamed(spec.task).examples(spec, widget);
  const problems = examples.map((example) => problemOfExample(spec, example));
  const valid = examples[problems.indexOf(null)];
  if (valid) return valid;
  if (!yaml.example && spec.inputKind === 'ROW' && yaml.columns.some(({ example }) => example !== null))
    throw new ManifestError(`model.yaml: the row of the columns' examples is not a valid input: ${problems.at(-1)}`);
  throw new ManifestError(
    yaml.example
      ? `model.yaml: the example is not a valid input: ${problems.at(-1)}`
      : `model.yaml: add an example; the generated one is not a valid input: ${problems.at(-1)}`,
  );
}

/** Null if the example is a valid input. */
function problemOfExample(spec: VersionSpec, example: Example): string | null {
  try {
    checkInput(spec, example, ['example']);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const MAX_SHOWN_CHARACTERS = 200;

/**
 * Which example the graph cannot run, and what to do about it. `reason` says why. `isAnswered`: the graph runs it, but its
 * outputs are no answer.
 */
export function exampleRefusal(
  spec: VersionSpec,
  manifest: ModelManifest,
  { reason, isAnswered }: { readonly reason: string; readonly isAnswered: boolean },
): string {
  const [what, isOwn] = describeExample(spec, manifest);
  const failed = isAnswered ? `the graph's outputs for ${what} are not a valid answer` : `the graph cannot run ${what}`;
  const orElse = isAnswered ? 'output in model.yaml, or the export' : 'the export';
  const advice = isOwn
    ? `correct it, or ${orElse}`
    : `add a real input as example to model.yaml, in the same form, or correct ${orElse}`;
  return `${failed}: ${advice}. ${reason}`;
}

/** The example in the terms of the owner's files, and whether the owner has written it. */
function describeExample(spec: VersionSpec, manifest: ModelManifest): [what: string, isOwn: boolean] {
  if (manifest.yaml.example) return ['the example in model.yaml', true];
  if (isOfColumns(spec, manifest)) return ["the row of the columns' examples in model.yaml", true];
  if (!isGenerated(spec)) return ['the first valid widget input in README.md', true];
  const json = JSON.stringify(spec.example, (key, value) => (key === 'base64' ? '…' : value));
  const shown = shortened(json, MAX_SHOWN_CHARACTERS);
  return [`the example, which was generated because model.yaml has none (${shown})`, false];
}

function isOfColumns({ inputKind, columns }: VersionSpec, { yaml }: ModelManifest): boolean {
  const given = yaml.columns.filter(({ example }) => example !== null).length;
  return inputKind === 'ROW' && columns.length > 0 && given === columns.length;
}

/** Whether the task offers this example to a model whose card has none. */
function isGenerated(spec: VersionSpec): boolean {
  const json = JSON.stringify(spec.example);
  return taskNamed(spec.task)
    .examples(spec, [])
    .some((example) => JSON.stringify(example) === json);
}
