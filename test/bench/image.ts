/**
 * The cost of preprocessing an image: a one-megapixel JPEG to 1×3×224×224, by step and by filter, in one thread.
 *
 *   npm run build && node test/bench/image.ts [rounds]
 *
 * The time of a step is the difference between a call with it and one without it; a crop to one pixel leaves nothing to
 * normalize.
 */
import sharp from 'sharp';
import type { ImageSpec } from '#src/tasks/spec.js';
import { imageToFloats } from '#src/worker/native/image.js';
import { median } from './numbers.ts';

const SIZE = { width: 1200, height: 833 };
const EDGE = { width: 224, height: 224 };
const PIXEL = { width: 1, height: 1 };
const MAX_PIXELS = 25_000_000;
const FILTERS = ['nearest', 'bilinear', 'bicubic', 'lanczos'] as const;
const rounds = Number(process.argv[2] ?? 50);

const SPEC: ImageSpec = {
  resize: { kind: 'exact', ...EDGE },
  resample: 'bilinear',
  crop: null,
  pad: null,
  color: 'rgb',
  layout: 'NCHW',
  rescaleFactor: 1 / 255,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};

/** Waves, a checkerboard and noise. */
function image(): Promise<Buffer> {
  const levels = Buffer.alloc(SIZE.width * SIZE.height * 3);
  for (let i = 0, noise = 1; i < levels.length; i++) {
    const [x, y] = [Math.floor(i / 3) % SIZE.width, Math.floor(i / 3 / SIZE.width)];
    noise = (Math.imul(noise, 1103515245) + 12345) >>> 0;
    const square = (Math.floor(x / 40) + Math.floor(y / 40)) % 2;
    levels[i] = 100 + 50 * Math.sin(x / 37 + y / 29 + (i % 3)) + 20 * square + (noise >>> 27);
  }
  return sharp(levels, { raw: { ...SIZE, channels: 3 } })
    .jpeg({ quality: 90 })
    .toBuffer();
}

/** The median CPU time in ms, which depends little on other load. */
async function timeOf(bytes: Buffer, spec: ImageSpec): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const start = process.cpuUsage();
    await imageToFloats(bytes, spec, MAX_PIXELS);
    const { user, system } = process.cpuUsage(start);
    times.push((user + system) / 1000);
  }
  return median(times);
}

const bytes = await image();
const decode = await timeOf(bytes, { ...SPEC, resize: null, crop: PIXEL });
const rows = [];
for (const resample of FILTERS) {
  const resized = await timeOf(bytes, { ...SPEC, resample, crop: PIXEL });
  const whole = await timeOf(bytes, { ...SPEC, resample });
  rows.push({ resample, decode, resize: resized - decode, normalize: whole - resized, whole });
}
console.log(`${SIZE.width} × ${SIZE.height}, ${bytes.length} bytes of JPEG; ms of one core, medians of ${rounds}`);
for (const { resample, ...steps } of rows) {
  const texts = Object.entries(steps).map(([step, ms]) => `${step} ${ms.toFixed(2)}`);
  console.log(`${resample.padEnd(9)} ${texts.join('   ')}`);
}
