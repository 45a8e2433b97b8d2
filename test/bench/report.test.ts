/** What the benchmark keeps when it records one part, and that it notices wrong answers. */
import { FORMATS, isRight, type Right, rightOf } from './answers.ts';
import { bars, curves } from './plots.ts';
import { compose, merge } from './report.ts';

const ORDER = ['first', 'second', 'third'];
const goal = (measured: string) => ({ what: 'rate', aim: '≥ 2', measured, isMet: false });
const base64 = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer).toString('base64');

test('recording one part replaces it and its goals, and keeps the others', () => {
  const parts = new Map([
    ['first', '## First\n\n| a |\n| - |\n| 1 |'],
    ['third', '## Third'],
  ]);
  const rows = [
    ['first', 'rate', '≥ 2', '1', '**missed**'],
    ['third', 'rate', '≥ 2', '3', 'met'],
  ];
  const recorded = compose('# Old', parts, rows, ORDER);
  const section = { markdown: '', goals: [goal('1.9')] };

  const merged = merge(recorded, '# New', new Map([['third', { part: '## Third, again', section }]]), ORDER);
  const both = merge(merged, '# New', new Map([['second', { part: '## Second', section }]]), ORDER);

  const expected = new Map([...parts, ['second', '## Second'], ['third', '## Third, again']]);
  const lines = ['second', 'third'].map((name) => [name, 'rate', '≥ 2', '1.9', '**missed**']);
  expect(both).toBe(compose('# New', expected, [rows[0] as string[], ...lines], ORDER));
});

test('an answer is wrong if its label, its score, its values or their number differ', () => {
  const label: Right = rightOf({ label: null, base64: base64(0.2, 0.8) }, ['no', 'yes']);
  const values: Right = rightOf({ label: null, base64: base64(1, 2) }, []);

  expect(label).toMatchObject({ label: 'yes' });
  expect(isRight({ label: 'yes', score: 0.80001 }, label)).toBe(true);
  expect(isRight({ label: 'no', score: 0.8 }, label)).toBe(false);
  expect(isRight({ label: 'yes', score: 0.7 }, label)).toBe(false);
  expect(isRight({ tensors: [{ base64: base64(1, 2.00001) }] }, values)).toBe(true);
  expect(isRight({ tensors: [{ base64: base64(1, 2.1) }] }, values)).toBe(false);
  expect(isRight({ tensors: [{ base64: base64(1) }] }, values)).toBe(false);
  expect(isRight(undefined, values)).toBe(false);
});

test('answers are read from objects, columns, plain JSON and binary tensors', () => {
  const read = (format: keyof typeof FORMATS, body: unknown) =>
    FORMATS[format]({ status: 200, body: typeof body === 'string' ? body : JSON.stringify(body) }).outputs;
  const output = { label: 'yes', score: 0.5 };
  const many = (data: unknown) => ({ data: { predictMany: { problem: null, ...(data as object) } } });
  const tensors = [{ base64: base64(1, 2, 3, 4) }];
  const head = '{"outputs":[{"name":"y","datatype":"FP32","shape":[1,1],"parameters":{"binary_data_size":4}}]}';

  expect(read('predict', { data: { predict: { prediction: { output }, problem: null } } })).toEqual([output]);
  expect(read('predictMany', many({ results: [{ prediction: { output } }, { prediction: null }] }))).toEqual([
    output,
    undefined,
  ]);
  expect(read('predictManyColumns', many({ columns: { labels: ['yes'], scores: [0.5], problems: [] } }))).toEqual([
    output,
  ]);
  expect(read('predictManyColumns', many({ columns: { count: 2, tensors, problems: [] } }))).toEqual([
    { tensors: [{ base64: base64(1, 2) }] },
    { tensors: [{ base64: base64(3, 4) }] },
  ]);
  expect(read('rest', output)).toEqual([output]);
  expect(read('oip', head + Buffer.from(base64(7), 'base64').toString('latin1'))).toEqual([
    { tensors: [{ base64: base64(7) }] },
  ]);
  expect(() => read('predictManyColumns', many({ columns: { labels: [], problems: [{ row: 0 }] } }))).toThrow(
    'problem',
  );
});

test('plots contain no script, and escape what they show', () => {
  const bar = { label: 'a < b', value: 2, least: 1, most: 3, isOurs: true };
  const plots = [
    bars('Rates', [{ title: 'one', bars: [bar] }]),
    curves('Latency', [{ label: 'p50 & p99', points: [[0.2, 1] as const, [0.8, 30] as const], color: 0 }]),
  ];

  for (const svg of plots) {
    expect(svg).toMatch(/^<svg .*<\/svg>\n$/s);
    expect(svg).not.toContain('<script');
    expect(svg).not.toContain('NaN');
  }
  expect(plots[0]).toContain('a &lt; b');
  expect(plots[1]).toContain('p50 &amp; p99');
});
