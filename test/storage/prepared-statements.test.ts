/** Statements are prepared once and kept, unless they would hold large values. */
import { DatabaseSync } from 'node:sqlite';
import { PreparedStatements } from '#src/storage/prepared-statements.js';

let database: DatabaseSync;
let prepared: PreparedStatements;
beforeEach(() => {
  database = new DatabaseSync(':memory:');
  prepared = new PreparedStatements(database);
});
afterEach(() => database.close());

const ECHO = 'select ? as value';
const run = (sql: string, value: string) =>
  (prepared.prepare(sql, [value]).statement.get(value) as unknown as unknown[])[0];

test('a statement is prepared once, and counts its text and the values of its last run', () => {
  const [first, second] = [prepared.prepare(ECHO, ['a']), prepared.prepare(ECHO, ['abc'])];

  expect(second).toBe(first);
  expect([prepared.size, prepared.bytes]).toEqual([1, 2 * ECHO.length + 6]);
});

test('a statement with a value above 64 KiB runs, and is not kept, even if it was before', () => {
  const large = 'x'.repeat(33_000);

  const values = [run(ECHO, 'a'), run(ECHO, large)];

  expect(values).toEqual(['a', large]);
  expect([prepared.size, prepared.bytes]).toEqual([0, 0]);
});

test('statements that are kept together hold at most 8 MiB, and at most 500 are kept', () => {
  const most = { size: 0, bytes: 0 };
  for (let i = 0; i < 1_200; i++) {
    expect(run(`select ? as value, ${i}`, i < 600 ? 'a' : 'x'.repeat(30_000))).toBeDefined();
    most.size = Math.max(most.size, prepared.size);
    most.bytes = Math.max(most.bytes, prepared.bytes);
  }

  expect(most.size).toBe(500);
  expect(most.bytes).toBeGreaterThan(7 * 2 ** 20);
  expect(most.bytes).toBeLessThanOrEqual(8 * 2 ** 20);
});

test('statements that change the schema are not kept, and the columns of others are read again', () => {
  prepared.prepare('create table t (a)', []).statement.run();
  expect(prepared.size).toBe(0);

  const before = prepared.prepare('select * from t', []).columns;
  prepared.prepare('alter table t add column b', []).statement.run();

  expect([before, prepared.prepare('select * from t', []).columns]).toEqual([['a'], ['a', 'b']]);
});
