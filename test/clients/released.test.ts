/** A change of the schema that breaks clients has to be explained. */
import { unexplained } from './released.ts';

const RELEASED = 'type Query { a: Int! b(c: Int): String }';

test('a field that was removed is a breaking change until it is explained', async () => {
  const next = 'type Query { a: Int! }';

  expect(await unexplained(RELEASED, next, {})).toEqual(["Breaking: Field 'b' was removed from object type 'Query'"]);
  const reasons = { "Field 'b' was removed from object type 'Query'": 'Nobody used it.' };
  expect(await unexplained(RELEASED, next, reasons)).toEqual([]);
  expect(await unexplained(RELEASED, RELEASED, reasons)).toEqual([
    "Explained, but no change: Field 'b' was removed from object type 'Query'",
  ]);
});

test('a new field and a new optional argument break nobody', async () => {
  expect(await unexplained(RELEASED, 'type Query { a(e: Int): Int! b(c: Int): String d: Int }', {})).toEqual([]);
});
