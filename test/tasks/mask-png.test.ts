/** Masks are drawn in the event loop, by a route without a price. */
import sharp from 'sharp';
import { maskPng } from '#src/tasks/mask-png.js';
import { MAX_MASK_PIXELS } from '#src/tasks/masks.js';
import { seeded } from '../support/seeded-random.js';

test('pixels of random run lengths are those of the mask', async () => {
  const random = seeded(7);
  for (const width of [1, 3, 7, 8, 9, 16, 21, 64]) {
    const height = 1 + Math.floor(random() * 12);
    const runs = Array.from({ length: 30 }, () => Math.floor(random() ** 3 * 60));
    const inside = runs.flatMap((run, i) => Array(run).fill(255 * (i % 2)));
    const expected = Array.from({ length: width * height }, (_, i) => inside[i] ?? 0);
    const png = await maskPng(Uint32Array.from(runs), { width, height });
    const alpha = await sharp(png).ensureAlpha().extractChannel('alpha').raw().toBuffer();

    expect([width, ...alpha]).toEqual([width, ...expected]);
  }
});

test('a mask of all pixels is drawn in a few milliseconds', async () => {
  const size = Math.sqrt(MAX_MASK_PIXELS);
  const runLengths = Uint32Array.of(0, size * size);
  let fastestMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 9; i++) {
    const since = performance.now();
    const png = maskPng(runLengths, { width: size, height: size });
    fastestMs = Math.min(fastestMs, performance.now() - since);
    await png;
  }

  expect(fastestMs).toBeLessThan(10);
});
