/** Plots as SVG: drawn in a real thread, and shown by a real browser. */
import { altTextOf } from '#src/plots/alt-text.js';
import { columnText } from '#src/plots/attribution-plot.js';
import { COLORS, contrastOf, inkOn, mixed } from '#src/plots/colors.js';
import { type ConfusionCells, drawnClasses } from '#src/plots/confusion-plot.js';
import type { Drawing } from '#src/plots/drawing.js';
import { countText, shortened, widthOf } from '#src/plots/labels.js';
import { Plotter } from '#src/plots/plotter.js';
import { hasBrowser, openBrowser, openPage } from '../support/browser.js';

const HOSTILE = '</text><script>alert(1)</script>"\'&amp;]]>\u0000\u0007\u202E\uD800\uFFFF\n{{x}}';

const plotter = new Plotter();
afterAll(() => plotter.stop());

/** A tenth of the rows of each class are taken for the next one. */
function confusion(labels: readonly string[]): ConfusionCells {
  const cells = labels.flatMap((_, i) => [
    [i, i, 90 + i],
    [i, (i + 1) % labels.length, 10],
  ]);
  return { labels, cells };
}

const matrixOf = (labels: readonly string[]): Drawing => ({
  kind: 'CONFUSION_MATRIX',
  json: JSON.stringify(confusion(labels)),
});

const curvesOf = (kind: 'ROC' | 'PRECISION_RECALL' | 'CALIBRATION', labels: readonly string[]): Drawing => {
  const x = Array.from({ length: 1_000 }, (_, i) => i / 999);
  const counts = kind === 'CALIBRATION' ? [100, 5, 60] : null;
  const curve = counts ? { x: [0.1, 0.5, 0.9], y: [0.2, 0.5, 0.8], counts } : { x, y: x.map((one) => 1 - one), counts };
  const curves = labels.map((label, i) => ({ label, json: JSON.stringify(curve), figure: counts ? null : i / 8 }));
  return { kind, curves, omitted: 3 };
};

const CLASSES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', HOSTILE];
const DRAWINGS: readonly Drawing[] = [
  matrixOf(['ham', HOSTILE]),
  matrixOf(Array.from({ length: 50 }, (_, i) => `a class with a long name ${i} ${HOSTILE}`)),
  curvesOf('ROC', CLASSES),
  curvesOf('PRECISION_RECALL', CLASSES),
  curvesOf('CALIBRATION', CLASSES),
  {
    kind: 'HEAT_MAP',
    columns: 16,
    rows: 24,
    aspect: 1.5,
    percents: Array.from({ length: 384 }, (_, i) => (i % 201) - 100),
    limit: 0.0000123,
    label: HOSTILE,
  },
  {
    kind: 'ATTRIBUTIONS',
    bars: Array.from({ length: 12 }, (_, i) => ({ name: `W${HOSTILE}`.repeat(i), attribution: (-1) ** i / 10 ** i })),
    omitted: 1_000,
    score: 123_456.7,
    base: -1e-9,
    label: HOSTILE,
  },
  { kind: 'ATTRIBUTIONS', bars: [{ name: '', attribution: 0 }], omitted: 0, score: 0, base: null, label: null },
  {
    kind: 'PARETO',
    metric: HOSTILE.repeat(9),
    higherIsBetter: false,
    against: 'LATENCY',
    optimal: Array.from({ length: 8 }, (_, i) => ({
      name: `W${HOSTILE}`.repeat(i),
      x: 10 ** (3 - i),
      y: 1 - i / 1_000,
    })),
    others: Array.from({ length: 42 }, (_, i) => ({ x: 1e-4 * (i + 1), y: 0.9 + i / 1_000 })),
    omitted: 1_000,
  },
  {
    kind: 'PARETO',
    metric: '',
    higherIsBetter: true,
    against: 'SIZE',
    optimal: [{ name: '', x: 0, y: 0 }],
    others: [],
    omitted: 0,
  },
  {
    kind: 'IMPORTANCE',
    bars: Array.from({ length: 12 }, (_, i) => {
      return { name: `W${HOSTILE}`.repeat(i), mean: 0.5 / (i + 1) - 0.1, standardDeviation: i / 20 };
    }),
    omitted: 1_000,
    metric: `Area under the ROC curve of ${HOSTILE.repeat(9)}`,
    baseline: 0.000012345,
    repeats: 30,
  },
];

test('texts and lines have a contrast of at least 4.5 in both themes', () => {
  for (const { background, text, muted, series } of Object.values(COLORS)) {
    for (const color of [text, muted, ...series]) expect(contrastOf(color, background)).toBeGreaterThanOrEqual(4.5);
    for (let share = 0; share <= 1; share += 0.01) {
      const cell = mixed(background, series[0] as string, share);
      expect(contrastOf(inkOn(cell), cell)).toBeGreaterThanOrEqual(4.5);
    }
  }
  expect(contrastOf('#ffffff', '#000000')).toBeCloseTo(21, 5);
  expect(contrastOf('#767676', '#ffffff')).toBeCloseTo(4.54, 2);
});

test('labels fit into their places, whatever they are', () => {
  for (const text of [HOSTILE, 'W'.repeat(500), '中'.repeat(500), '👩‍👩‍👧'.repeat(100), 'i'.repeat(1e6), ''])
    expect(widthOf(shortened(text, 96, 12), 12)).toBeLessThanOrEqual(96);
  expect(shortened('Adelie', 96, 12)).toBe('Adelie');
  expect(columnText('Island', 'biscoe')).toBe('Island = biscoe');
  expect(columnText('Worst fractal dimension', 0.07039000000001)).toBe('Worst frac… = 0.07039');
  for (const text of [HOSTILE.repeat(9), '']) expect(widthOf(columnText(text, text), 12)).toBeLessThanOrEqual(150);
  expect([0, 999, 1_000, 9_949, 9_950, 12_400, 999_499, 999_500, 12_000_000].map(countText)).toEqual([
    '0',
    '999',
    '1.0k',
    '9.9k',
    '10k',
    '12k',
    '999k',
    '1.0M',
    '12M',
  ]);
});

test('of many classes, those with the most rows are drawn, and the others as one', () => {
  const all = confusion(Array.from({ length: 100 }, (_, i) => `class ${i}`));
  const { labels, cells } = drawnClasses(all);
  const rowsOf = ({ cells }: Pick<ConfusionCells, 'cells'>) => cells.reduce((sum, [, , count = 0]) => sum + count, 0);
  const few = drawnClasses({ labels: all.labels, cells: [[3, 7, 2]] });

  expect(labels).toHaveLength(20);
  expect([labels[0], labels.at(-1)]).toEqual(['class 81', '81 others']);
  expect(rowsOf({ cells })).toBe(rowsOf(all));
  expect(few).toEqual({ labels: ['class 3', 'class 7'], cells: [[0, 1, 2]] });
});

test('a text says what a plot shows', () => {
  expect(altTextOf(matrixOf(['ham', 'spam']))).toBe(
    'Confusion matrix of 201 rows and 2 classes. 90.0% are predicted right. Most often confused: "ham", predicted as "spam" (10).',
  );
  expect(altTextOf(curvesOf('ROC', ['ham', 'spam']))).toBe(
    'ROC curves of 5 classes. Area under the curve: "ham" 0.000; "spam" 0.125; and 3 more.',
  );
  expect(altTextOf(curvesOf('CALIBRATION', ['ham']))).toMatch(/: "ham" 0\.097; and 3 more\.$/);
  const bars = [
    { name: 'island = biscoe', attribution: 0.21449 },
    { name: 'sex = missing', attribution: -0.00001 },
  ];
  expect(altTextOf({ kind: 'ATTRIBUTIONS', bars, omitted: 0, score: 0.9, base: 0.4, label: 'Adelie' })).toBe(
    'Attributions to the score of "Adelie" (0.9, from 0.4): "island = biscoe" +0.214; "sex = missing" −1.0e−5.',
  );
  const importance = { bars: [{ name: 'island', mean: 0.01861, standardDeviation: 0.0079 }], omitted: 5, repeats: 5 };
  expect(altTextOf({ kind: 'IMPORTANCE', ...importance, metric: 'Accuracy', baseline: 0.9808 })).toBe(
    'Permutation importance: loss of Accuracy (0.981) when a column is shuffled, mean and deviation of 5: "island" 0.0186 ± 0.0079; and 5 more.',
  );
  const optimal = [
    { name: 'small:2', x: 0.2149, y: 0.97 },
    { name: 'large:1', x: 21.5, y: 0.98491 },
  ];
  const pareto = {
    metric: 'Accuracy',
    higherIsBetter: true,
    against: 'LATENCY',
    optimal,
    others: [{ x: 1, y: 0.5 }],
    omitted: 2,
  } as const;
  expect(altTextOf({ kind: 'PARETO', ...pareto })).toBe(
    'Accuracy against median latency of 5 versions. Pareto-optimal: "small:2" 0.97, 0.215 ms; "large:1" 0.985, 21.5 ms. 2 are not drawn.',
  );
  const heatMap = { kind: 'HEAT_MAP', columns: 2, rows: 2, aspect: 1, percents: [0, -50, 100, 3], limit: 0.4 } as const;
  expect(altTextOf({ ...heatMap, label: 'Bag' })).toBe(
    'Heat map of 2 by 2 parts of the image. Hiding the part in row 2, column 1 lowers the score of "Bag" most, by 0.4.',
  );
});

test('the same plot has the same bytes, whatever was drawn before and after the thread has ended', async () => {
  const drawAll = () => Promise.all(DRAWINGS.map((drawing) => plotter.draw({ drawing, theme: 'light' }, 'me')));
  const before = await drawAll();
  const other = new Plotter();
  const [last] = await Promise.all([other.draw({ drawing: DRAWINGS[4] as Drawing, theme: 'light' }, 'me')]);
  await other.stop();

  expect(await drawAll()).toEqual(before);
  expect(last).toBe(before[4]);
  for (const svg of before) {
    expect(Buffer.byteLength(svg)).toBeLessThan(200_000);
    expect(svg).not.toMatch(/<script|<style|<foreignObject|href=|\son\w+=|javascript:/i);
  }
});

test('one caller cannot take all places, and a plot that cannot be drawn is a failure of its own', async () => {
  const many = new Plotter();
  const draw = (caller: string, drawing = DRAWINGS[0] as Drawing) =>
    many.draw({ drawing, theme: 'dark' }, caller).then(
      () => 'drawn',
      (error: Error) => error.constructor.name,
    );
  const broken = draw('me', { kind: 'CONFUSION_MATRIX', json: '{' });
  const mine = Array.from({ length: 60 }, () => draw('me'));
  const others = await draw('others');
  const results = await Promise.all(mine);
  await many.stop();

  expect(results.filter((one) => one === 'TooManyPlotsError')).toHaveLength(11);
  expect(results.filter((one) => one === 'drawn')).toHaveLength(49);
  expect([await broken, others]).toEqual(['SyntaxError', 'drawn']);
});

const browserTest = hasBrowser ? test : test.skip;

/** In the browser: its width as an image, the texts that are not inside of it, and the size of the smallest text. */
const MEASURE = `async (svg) => {
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  await image.decode();
  document.body.innerHTML = svg;
  const frame = document.querySelector('svg').getBoundingClientRect();
  const texts = [...document.querySelectorAll('text')];
  const outside = texts.filter((text) => {
    const { left, right, top, bottom } = text.getBoundingClientRect();
    return left < frame.left || right > frame.right + 1 || top < frame.top || bottom > frame.bottom + 1;
  });
  return {
    width: image.naturalWidth,
    outside: outside.map((text) => text.textContent),
    smallest: Math.min(...texts.map((text) => Number.parseFloat(getComputedStyle(text).fontSize))),
  };
}`;

browserTest('a browser shows each of them, 400 pixels wide, with all texts inside', async () => {
  const browser = await openBrowser();
  const page = await openPage(browser);
  try {
    for (const drawing of DRAWINGS) {
      const svg = await plotter.draw({ drawing, theme: 'dark' }, 'me');

      expect(await page.evaluate(`(${MEASURE})(${JSON.stringify(svg)})`)).toEqual({
        width: 400,
        outside: [],
        smallest: 11,
      });
    }
  } finally {
    await browser.close();
  }
});
