/** Builds from model.yaml what a model reads of a file, and checks it against the graph. */
import { ManifestError } from '../errors.js';
import { DATATYPES } from '../tasks/datatypes.js';
import type { BytesSpec, TensorSpec } from '../tasks/spec.js';
import { shapeText } from '../tasks/tensors.js';
import type { ModelYaml } from './manifest.js';

/** @throws ManifestError */
export function bytesSpecOf(
  { bytes, task }: Pick<ModelYaml, 'bytes' | 'task'>,
  inputs: readonly TensorSpec[],
): BytesSpec {
  const [input] = inputs;
  if (!input || inputs.length > 1)
    throw new ManifestError(
      `the graph has ${inputs.length} inputs, but ${task} needs exactly one: export it so, or set task: tensor in model.yaml`,
    );
  const { name, shape, datatype } = input;
  if (!bytes)
    throw new ManifestError(
      `model.yaml: bytes is missing: say what the graph reads of a file in input "${name}", ${shapeText(shape)}, for example { begin: 1024, padding: 256 }`,
    );
  const { begin, end, padding, stripWithin = null } = bytes;
  const range = DATATYPES[datatype]?.range;
  if (range === undefined || shape.length !== 2 || (shape[1] !== null && shape[1] !== begin + end))
    throw new ManifestError(
      `input "${name}" is ${datatype} ${shapeText(shape)}, but bytes in model.yaml reads ${begin + end} numbers of a file, so that it needs the shape [N, ${begin + end}]: correct begin and end`,
    );
  if (range && (BigInt(padding) < range[0] || BigInt(padding) > range[1] || range[1] < 255n))
    throw new ManifestError(
      `input "${name}" is ${datatype}, which does not hold the bytes 0 to 255 and the padding ${padding} of bytes in model.yaml`,
    );
  return { begin, end, padding, stripWithin };
}
