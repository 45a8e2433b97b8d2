/** The batch invariance test: it must find every graph whose answers depend on the batch, and no other. */

import { DATATYPES, type TensorData } from '#src/tasks/datatypes.js';
import type { VersionSpec } from '#src/tasks/tasks.js';
import { checkBatchInvariance } from '#src/worker/batch-invariance.js';
import type { OpenSession } from '#src/worker/native/session-thread.js';

type Run = (inputs: readonly TensorData[], rows: number) => readonly number[];

const UNTESTED = 'batching could not be tested: the graph accepts no inputs that differ from the example';
const DEPENDS = 'depends on the other inputs';
const TENSORS = { text: null, inputKind: 'TENSORS' } as unknown as VersionSpec;
const TEXT = { text: { maxTokens: 16 }, inputKind: 'TEXT' } as unknown as VersionSpec;

function tensor(name: string, datatype: string, values: readonly number[]): TensorData {
  const { array } = DATATYPES[datatype] as (typeof DATATYPES)[string];
  const data = new array(values.length);
  for (const [i, x] of values.entries()) data[i] = data instanceof BigInt64Array ? BigInt(x) : x;
  return { name, datatype, shape: [1, values.length], data };
}

function numbersOf({ data }: TensorData): number[] {
  return Array.from(data as Int32Array, Number);
}

/** A session that answers one number per row. */
function sessionOf(run: Run): OpenSession {
  const answer = async (inputs: readonly TensorData[]): Promise<TensorData[]> => {
    const rows = inputs[0]?.shape[0] ?? 0;
    return [{ name: 'y', datatype: 'FP32', shape: [rows], data: Float32Array.from(run(inputs, rows)) }];
  };
  return { inputs: [], outputs: [], run: answer, release: async () => {} };
}

/** A session that answers the sum of each row, plus a number that `more` computes from the whole batch. */
function summing(more: (values: readonly number[], inputs: readonly TensorData[]) => number): OpenSession {
  return sessionOf((inputs, rows) => {
    const values = numbersOf(inputs[0] as TensorData);
    const width = values.length / rows;
    const extra = more(values, inputs);
    return Array.from(
      { length: rows },
      (_, i) => values.slice(i * width, (i + 1) * width).reduce((a, b) => a + b, 0) / 1e6 + extra,
    );
  });
}

function outOfRange(values: readonly number[], size: number): number {
  if (values.some((x) => x < 0 || x >= size)) throw new Error('indices element out of data bounds');
  return 0;
}

const largest = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b));

test.each(['INT8', 'UINT8', 'INT16', 'INT32', 'INT64', 'FP32'])(
  '%s: finds a dependence on the largest value of the batch, and none in an independent graph',
  async (datatype) => {
    const rows = [[tensor('x', datatype, [1, 2, 3])]];

    const [dependent, independent] = [
      await checkBatchInvariance(summing(largest), rows, TENSORS),
      await checkBatchInvariance(
        summing(() => 0),
        rows,
        TENSORS,
      ),
    ];

    expect(dependent.difference).toBe('in a batch of 2, output "y" depends on the other inputs');
    expect(independent).toEqual({ difference: null, padding: null });
  },
);

test('perturbed values avoid the extremes of a datatype and introduce no zeros', async () => {
  const seen = new Set<number>();
  const session = summing((values) => {
    for (const x of values) seen.add(x);
    return 0;
  });

  await checkBatchInvariance(session, [[tensor('x', 'INT32', [-2_147_483_648, 7, 3])]], TENSORS);
  await checkBatchInvariance(session, [[tensor('x', 'UINT8', [3, 200])]], TENSORS);

  seen.delete(-2_147_483_648);
  expect(seen.has(0)).toBe(false);
  expect(Math.min(...seen)).toBeGreaterThan(-2_147_483_648);
  expect(Math.max(...seen)).toBeLessThan(2_147_483_647);
});

test('an example of zeros is tested next to other numbers, even if the graph accepts only small ones', async () => {
  const ids = (size: number, more: (values: readonly number[]) => number) =>
    summing((values) => outOfRange(values, size) + more(values));
  const rows = [[tensor('x', 'INT64', [0, 0])]];

  const dependent = await checkBatchInvariance(ids(2, largest), rows, TENSORS);
  const independent = await checkBatchInvariance(
    ids(2, () => 0),
    rows,
    TENSORS,
  );

  expect(dependent.difference).toContain(DEPENDS);
  expect(independent.difference).toBeNull();
});

test('finds a dependence that an example of zeros alone would hide', async () => {
  const scaled = sessionOf((inputs) => {
    const values = numbersOf(inputs[0] as TensorData);
    return values.map((x) => x / Math.max(1, largest(values)));
  });

  const { difference } = await checkBatchInvariance(scaled, [[tensor('x', 'INT64', [0])]], TENSORS);

  expect(difference).toContain(DEPENDS);
});

test('perturbs booleans and strings', async () => {
  const words: TensorData = { name: 'x', datatype: 'BYTES', shape: [1, 1], data: ['a'] };
  const counting = sessionOf((inputs, rows) =>
    Array(rows).fill(new Set((inputs[0] as TensorData).data as Iterable<unknown>).size),
  );

  for (const row of [[words], [tensor('x', 'BOOL', [0])]]) {
    expect((await checkBatchInvariance(counting, [row], TENSORS)).difference).toContain(DEPENDS);
  }
});

test('reports a graph that accepts only its example as untested', async () => {
  const picky = summing((values) => {
    if (values.some((x) => x !== 5)) throw new Error('only 5 is accepted');
    return 0;
  });

  expect((await checkBatchInvariance(picky, [[tensor('x', 'INT32', [5])]], TENSORS)).difference).toBe(UNTESTED);
  expect((await checkBatchInvariance(picky, [[tensor('x', 'INT32', [])]], TENSORS)).difference).toBe(UNTESTED);
});

describe('tokens', () => {
  const rows = [[tensor('input_ids', 'INT64', [1, 40, 2])]];
  const vocabularySize = 100;

  test('tries every id of a small vocabulary', async () => {
    const dependsOn = (id: number) => summing((values) => outOfRange(values, 100) + Number(values.includes(id)));

    for (const id of [0, 17, 63, 99]) {
      const { difference } = await checkBatchInvariance(dependsOn(id), rows, TEXT, vocabularySize);
      expect(difference).toContain(DEPENDS);
    }
  });

  test('tries only ids that the graph accepts if its embedding is smaller than the vocabulary', async () => {
    const small = (more: (values: readonly number[]) => number) =>
      summing((values) => outOfRange(values, 41) + more(values));

    const dependent = await checkBatchInvariance(
      small((values) => Number(values.includes(33))),
      rows,
      TEXT,
      vocabularySize,
    );
    const independent = await checkBatchInvariance(
      small(() => 0),
      rows,
      TEXT,
      vocabularySize,
    );

    expect(dependent.difference).toContain(DEPENDS);
    expect(independent.difference).toBeNull();
  });

  test('changes only token ids, and stays within the vocabulary', async () => {
    const masks = new Set<number>();
    const session = summing((values, inputs) => {
      for (const x of numbersOf(inputs[1] as TensorData)) masks.add(x);
      return outOfRange(values, vocabularySize);
    });
    const masked = rows.map(([ids]) => [ids as TensorData, tensor('attention_mask', 'INT64', [1, 1, 1])]);

    const { difference } = await checkBatchInvariance(session, masked, TEXT, vocabularySize);

    expect(difference).toBeNull();
    expect([...masks]).toEqual([1]);
  });
});
