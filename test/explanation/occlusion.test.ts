/** Occlusion finds the part of a text or an image that a model looks at. */
import fc from 'fast-check';
import { gridOf, heatMap, patchesOf, textEffects, textParts, withoutPart } from '#src/explanation/occlusion.js';

const wordsOf = (text: string, maxParts = 100) =>
  textParts(text, maxParts).map(({ start, end }) => text.slice(start, end));

test('a text is divided into words, punctuation and symbols, in every script', () => {
  expect(wordsOf("Don't  panic, Zoë! 👍🏽")).toEqual(["Don't", 'panic', ',', 'Zoë', '!', '👍🏽']);
  expect(wordsOf('今日は良い天気').length).toBeGreaterThan(2);
  expect(wordsOf(' \n ')).toEqual([]);
});

test('a long text has parts of several words, never more than allowed, which cover all words', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.integer({ min: 1, max: 8 }), (text, maxParts) => {
      const parts = textParts(text, maxParts);
      const words = textParts(text, 1_000);

      expect(parts.length).toBeLessThanOrEqual(maxParts);
      expect(
        words.every(({ start, end }) => parts.filter((part) => part.start <= start && end <= part.end).length === 1),
      ).toBe(true);
    }),
    { numRuns: 200, seed: 1 },
  );
});

test('the word that a model looks for has all of the effect', () => {
  const text = 'this was a great film';
  const model = (one: string) => (one.includes('great') ? 0.9 : 0.2);
  const parts = textParts(text, 100);
  const effects = textEffects(
    parts,
    model(text),
    parts.map((part) => model(withoutPart(text, part, '[MASK]'))),
  );

  expect(effects.map(({ start, end, effect }) => [text.slice(start, end), effect.toFixed(1)])).toEqual([
    ['this', '0.0'],
    ['was', '0.0'],
    ['a', '0.0'],
    ['great', '0.7'],
    ['film', '0.0'],
  ]);
  expect(withoutPart(text, { start: 11, end: 17 }, '')).toBe('this was a film');
});

test('patches cover every pixel of any image four times, and are no more than allowed', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 4, max: 300 }),
      (width, height, maxPatches) => {
        const grid = gridOf({ width, height }, maxPatches);
        const patches = patchesOf(grid);
        const covered = new Uint8Array(width * height);
        for (const patch of patches)
          for (let y = patch.y; y < patch.y + patch.height; y++)
            for (let x = patch.x; x < patch.x + patch.width; x++) (covered[y * width + x] as number)++;

        expect(patches.length).toBeLessThanOrEqual(maxPatches);
        expect(patches.every((patch) => patch.width > 0 && patch.height > 0)).toBe(true);
        expect(covered.every((times) => times === 4)).toBe(true);
      },
    ),
    { numRuns: 100, seed: 1 },
  );
});

test('the heat map is warmest where the model looks, and 0 far from it', () => {
  const grid = gridOf({ width: 64, height: 48 }, 100);
  // The model looks at the pixel (50, 10).
  const scores = patchesOf(grid).map(({ x, y, width, height }) =>
    x <= 50 && 50 < x + width && y <= 10 && 10 < y + height ? 0.1 : 0.9,
  );
  const map = heatMap(grid, 0.9, scores);
  const warmest = map.indexOf(Math.max(...map));

  expect([grid.columns, grid.rows]).toEqual([10, 8]);
  expect(warmest % grid.columns).toBe(Math.floor((50 * grid.columns) / 64));
  expect(Math.floor(warmest / grid.columns)).toBe(Math.floor((10 * grid.rows) / 48));
  expect(map[warmest]).toBeCloseTo(0.8, 12);
  expect(map[grid.columns * grid.rows - grid.columns]).toBeCloseTo(0, 12);
});
