/** What is decided once for each column accepts exactly the values that have no problem, and reads them alike. */
import fc from 'fast-check';
import type { InvalidInputError } from '#src/errors.js';
import { Problems } from '#src/tasks/problems.js';
import { checkValue, columnInputsOf, rowInput } from '#src/tasks/row.js';
import type { AnySpec, ColumnSpec } from '#src/tasks/spec.js';

const DATATYPES = ['FP16', 'FP32', 'FP64', 'INT8', 'INT64', 'UINT64', 'UINT8', 'BOOL', 'BYTES'];
const limit = fc.constantFrom(null, -1, 0, 3, 255, 2 ** 60);

const column = fc.record({
  name: fc.constantFrom('a', 'b', 'constructor', '__proto__'),
  type: fc.constantFrom('NUMBER', 'INTEGER', 'TEXT', 'CATEGORY', 'BOOLEAN'),
  description: fc.constant(null),
  unit: fc.constant(null),
  minimum: limit,
  maximum: limit,
  categories: fc.constantFrom([], ['x', 'y', 'x']),
  required: fc.boolean(),
  example: fc.constant(1),
  input: fc.constant('input'),
  missing: fc.constant('?'),
}) as fc.Arbitrary<ColumnSpec>;

const value = fc.oneof(
  fc.constantFrom(
    undefined,
    null,
    true,
    false,
    'x',
    'y',
    'z',
    '',
    'cut off\0 here',
    'half \ud800 pair',
    '12',
    '-9223372036854775808',
    '1e3',
    [],
    {},
  ),
  fc.constantFrom(0, -0, 1, 1.5, -1, 127, 128, 255, 256, 65_504, 65_520, 3.4e38, 3.5e38, 2 ** 53, 2 ** 63, 1e308),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
  fc.double(),
);

function specOf(columns: readonly ColumnSpec[], datatype: string): AnySpec {
  const inputs = [{ name: 'input', datatype, shape: [null, columns.length] }];
  return { inputs, columns } as unknown as AnySpec;
}

function problemsOf(problems: Problems): unknown {
  try {
    problems.throwIfAny();
    return [];
  } catch (error) {
    return (error as InvalidInputError).problems;
  }
}

test('a value is read at once only if it has no problem, and then as the check reads it', () => {
  const property = fc.property(column, fc.constantFrom(...DATATYPES), value, (one, datatype, given) => {
    const [fed] = columnInputsOf(specOf([one], datatype));
    if (!fed) throw new Error('There is one column.');
    const read = fed.read(given);
    const problems = new Problems([]);
    const checked = checkValue(fed, given, ['row', one.name], problems);

    if (read !== undefined) expect([read, problemsOf(problems)]).toEqual([checked, []]);
  });

  fc.assert(property, { numRuns: 20_000, seed: 20_261_126 });
});

test('a row has the problems of its unknown names, then those of its columns, in their order', () => {
  const names = fc.constantFrom('a', 'b', 'c', 'toString');
  const property = fc.property(
    fc.uniqueArray(column, { selector: ({ name }) => name, maxLength: 4 }),
    fc.constantFrom(...DATATYPES),
    fc.array(fc.tuple(names, value), { maxLength: 4 }),
    (columns, datatype, entries) => {
      const spec = specOf(columns, datatype);
      const row = Object.fromEntries(entries);
      const found = new Problems(['input']);
      const { values } = rowInput.check(row, spec, found);
      const expected = new Problems(['input']);
      const checked = columnInputsOf(spec).map((fed) => {
        const { name } = fed.column;
        return checkValue(fed, Object.hasOwn(row, name) ? row[name] : undefined, ['row', name], expected);
      });
      const known = new Set(columns.map(({ name }) => name));
      const unknown = Object.keys(row).filter((name) => !known.has(name));
      const all = problemsOf(found) as { readonly path: readonly string[] }[];

      expect(all.slice(0, unknown.length).map(({ path }) => path)).toEqual(
        unknown.map((name) => ['input', 'row', name]),
      );
      expect(all.slice(unknown.length)).toEqual(problemsOf(expected));
      expect(values).toEqual(checked);
    },
  );

  fc.assert(property, { numRuns: 5_000, seed: 20_261_126 });
});
