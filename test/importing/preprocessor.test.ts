/**
 * Image processors of transformers: see `goldens/make-processors.py`. Each file was read by transformers, which then
 * processed a picture with it; files leave out keys, and each processor has its own defaults.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { imageSpecOfPreprocessor } from '#src/importing/preprocessor.js';
import type { Preprocessor } from '#src/importing/preprocessor-file.js';
import { imageToFloats } from '#src/worker/native/image.js';

interface Case {
  readonly name: string;
  readonly file: Preprocessor;
  readonly modelType: string | null;
  /** [height, width] of the tensor. */
  readonly shape: readonly [number, number];
  /** Of each channel, the mean of the values and of their squares; and single values, as [index, value]. */
  readonly means: readonly number[];
  readonly squares: readonly number[];
  readonly samples: readonly (readonly [number, number])[];
}

const { png, cases }: { png: string; cases: readonly Case[] } = JSON.parse(
  readFileSync(path.resolve('test/importing/goldens/processors.json'), 'utf8'),
);

test.each(cases.map((one) => [one.name, one] as const))('%s gives the values of transformers', async (_, one) => {
  const spec = imageSpecOfPreprocessor(one.file, { isGrey: false, modelType: one.modelType });
  const { data, height, width } = await imageToFloats(Buffer.from(png, 'base64'), spec, 25_000_000);
  expect([height, width]).toEqual(one.shape);
  const channels = [0, 1, 2].map((channel) => data.subarray(channel * height * width, (channel + 1) * height * width));
  const meanOf = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
  for (const [i, values] of channels.entries()) {
    expect(meanOf(values)).toBeCloseTo(one.means[i] as number, 4);
    expect(meanOf(values.map((value) => value * value))).toBeCloseTo(one.squares[i] as number, 3);
  }
  for (const [index, value] of one.samples) expect(data[index]).toBeCloseTo(value, 4);
});
