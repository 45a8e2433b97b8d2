/** The price of running a version: from what its inputs contain (`input-contents.ts`) and the version's spec. */
import type { Args, PredictionSize, Runs, VersionName } from '../graphql/cost.js';
import { MAX_OBJECTS } from '../tasks/boxes.js';
import { targetsOf, type VersionSpec } from '../tasks/tasks.js';
import { Contents, listOf, recordOf } from './contents.js';
import { contentsOf, contentsOfRows } from './input-contents.js';
import { mayAnswer, valuesOfAnswer } from './output-size.js';

/** Of each input, besides what its contents cost. */
const INPUT_POINTS = 5;
/** The same of a row of numbers in a block. */
const ROW_POINTS = 0.5;
/** Of the graph. A core computes this many in 50 µs: measured were 1.4 to 6.8 million, depending on the kind of graph. */
const OPERATIONS_PER_POINT = 2_000_000;
/** Of an input or outputs that are recorded. */
const BYTES_PER_POINT_RECORDED = 16_384;
/** Of outputs that are returned as they are: they are sent to the server, selected or not. */
const BYTES_PER_POINT_OF_OUTPUTS = 16_384;
const BYTES_PER_OUTPUT_VALUE = 4;
/** Of a version that does not exist. */
const DEFAULT_TARGETS = 32;
/** Answers that repeat texts of the input. */
const REPEATING = ['fillings', 'ranking'] as const;
/** More inputs than this are refused before they are read. */
const MAX_MEASURED_INPUTS = 2_000;

/** The version that the argument `input` names. */
export function versionOf({ input }: Args): VersionName | null {
  const { model, variant } = recordOf(input);
  return typeof model === 'string' ? { model, variant: typeof variant === 'string' ? variant : null } : null;
}

/** For `predict`. */
export function runOf({ input }: Args, spec: VersionSpec | null): Runs {
  const { input: one, record } = recordOf(input);
  return runsOf([one], spec, record !== false);
}

/** For `predictMany`. */
export function runsOfMany({ input }: Args, spec: VersionSpec | null): Runs {
  const { inputs, rows, record } = recordOf(input);
  if (rows != null) return runsOfRows(rows, spec, record !== false);
  return runsOf(inputs == null ? [] : listOf(inputs), spec, record !== false);
}

function runsOfRows(rows: unknown, spec: VersionSpec | null, record: boolean): Runs {
  const { count, areNumbers, contents } = contentsOfRows(rows, spec);
  return runsWith(contents, count, areNumbers ? ROW_POINTS : INPUT_POINTS, contents.operations / count, {
    spec,
    record,
  });
}

function runsOf(inputs: readonly unknown[], spec: VersionSpec | null, record: boolean): Runs {
  const total = new Contents();
  let largestOperations = 0;
  for (const input of inputs.slice(0, MAX_MEASURED_INPUTS)) {
    const contents = contentsOf(input, spec);
    total.add(contents);
    largestOperations = Math.max(largestOperations, contents.operations);
  }
  return runsWith(total, Math.max(1, inputs.length), INPUT_POINTS, largestOperations, { spec, record });
}

/** `total`: of all inputs. */
function runsWith(
  total: Contents,
  count: number,
  inputPoints: number,
  largestOperations: number,
  { spec, record }: { readonly spec: VersionSpec | null; readonly record: boolean },
): Runs {
  const recordedBytes = record ? total.bytes + total.repeatedBytes + total.outputBytes : 0;
  return {
    points:
      count * inputPoints +
      total.points +
      total.operations / OPERATIONS_PER_POINT +
      total.outputBytes / BYTES_PER_POINT_OF_OUTPUTS +
      recordedBytes / BYTES_PER_POINT_RECORDED,
    inputs: count,
    largestComputation: largestOperations / OPERATIONS_PER_POINT,
    prediction: sizeOf(total, count, spec),
  };
}

/** The mean of the predictions. */
function sizeOf(total: Contents, count: number, spec: VersionSpec | null): PredictionSize {
  const others = count - total.tensors;
  const targets = spec ? targetsOf(spec) : [];
  const ofOthers = others > 0 ? others * valuesOfAnswer(spec, total.tokens / others) : 0;
  return {
    inputBytes: total.bytes / count,
    characters: REPEATING.some((kind) => mayAnswer(spec, kind)) ? total.characters / count : 0,
    tokens: mayAnswer(spec, 'tokens') ? total.tokens / count : 0,
    labels: Math.max(spec?.labels.length ?? 0, total.labels / count, ...targets.map(({ labels }) => labels.length)),
    targets: spec ? targets.length : DEFAULT_TARGETS,
    sentences: total.sentences / count,
    documents: total.documents / count,
    objects: mayAnswer(spec, 'detections') ? MAX_OBJECTS : 0,
    outputValues: (ofOthers + total.outputBytes / BYTES_PER_OUTPUT_VALUE) / count,
  };
}
