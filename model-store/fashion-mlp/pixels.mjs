/**
 * Encodes raw 28x28 grey images as pictures, and reads each picture back with the service's own image tool.
 *
 * The recipe trains on these numbers, so training and serving see the same pixels: no second resizer to agree with.
 * Run from the repository root after `npm run build`; train.py does so:
 *
 *   node model-store/fashion-mlp/pixels.mjs <png|jpeg|webp> <images.raw> <pictures.txt> <pixels.f32>
 *
 * images.raw: 784 bytes an image. pictures.txt: one base64 picture a line. pixels.f32: 100 float32 an image.
 */
import { readFile, writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import { imageToFloats } from '../../dist/tasks/native/image.js';

const SIDE = 28;
const AT_ONCE = 64;
const SPEC = {
  resize: { kind: 'exact', width: 10, height: 10 },
  resample: 'bilinear',
  crop: null,
  pad: null,
  color: 'grey',
  layout: 'NCHW',
  rescaleFactor: 0.00392156862745098,
  mean: [0],
  std: [1],
};

const ENCODERS = {
  png: (image) => image.png({ compressionLevel: 9, adaptiveFiltering: true }),
  jpeg: (image) => image.jpeg({ quality: 95 }),
  webp: (image) => image.webp({ lossless: true }),
};

async function encodeAndRead(levels, encode) {
  const raw = { width: SIDE, height: SIDE, channels: 1 };
  const picture = await encode(sharp(levels, { raw }).toColourspace('b-w')).toBuffer();
  return { picture: picture.toString('base64'), pixels: (await imageToFloats(picture, SPEC, SIDE * SIDE)).data };
}

const [format, source, pictureFile, pixelFile] = process.argv.slice(2);
const bytes = await readFile(source);
const starts = Array.from({ length: bytes.length / SIDE ** 2 }, (_, i) => i * SIDE ** 2);

const done = [];
for (let i = 0; i < starts.length; i += AT_ONCE) {
  const batch = starts.slice(i, i + AT_ONCE).map((start) => bytes.subarray(start, start + SIDE ** 2));
  done.push(...(await Promise.all(batch.map((levels) => encodeAndRead(levels, ENCODERS[format])))));
}
await writeFile(pictureFile, done.map(({ picture }) => `${picture}\n`).join(''));
await writeFile(pixelFile, Buffer.concat(done.map(({ pixels }) => Buffer.from(pixels.buffer))));
