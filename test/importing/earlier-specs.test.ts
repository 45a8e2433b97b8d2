/** Specs stored by earlier releases have fewer keys and are converted when they are read. */
import { readSpec, readVariants, withOperations } from '#src/tasks/stored-spec.js';

const EARLIER = {
  task: 'IMAGE_CLASSIFICATION',
  inputKind: 'IMAGE',
  inputs: [{ name: 'x', datatype: 'FP32', shape: [null, 1, 8, 8] }],
  outputs: [{ name: 'scores', datatype: 'FP32', shape: [null, 2] }],
  columns: [],
  labels: ['no', 'yes'],
  image: { width: 8, height: 8, color: 'grey', rescaleFactor: 1, mean: [0], std: [1] },
  scores: { output: 'scores', activation: 'softmax' },
  value: null,
  example: {},
  maxBatch: 1,
  maxBatchReason: '',
  maxRunMs: 1000,
};

test('the stored spec of a variant is converted like that of its version', () => {
  const stored = { name: 'int8', sha256: 'a', sizeBytes: 1, spec: EARLIER, reason: null };
  const broken = { ...stored, name: 'q4', spec: null, reason: 'noise' };

  const variants = readVariants(JSON.stringify([stored, broken]));

  expect(variants).toEqual([{ ...stored, spec: readSpec(JSON.stringify(EARLIER)) }, broken]);
  expect(variants[0]?.spec?.head).toEqual({ kind: 'scores', output: 'scores', activation: 'softmax' });
});

test('a version that an earlier release has imported is priced as if it used each parameter once for an image', () => {
  const spec = readSpec(JSON.stringify(EARLIER));

  const { operationsPerValue, ...same } = withOperations(spec, 64 * 4 * 1_000);

  expect(operationsPerValue).toBe(1_000);
  expect(same).toEqual(spec);
  expect(withOperations({ ...spec, operationsPerValue: 5 }, 64 * 4 * 1_000).operationsPerValue).toBe(5);
});
