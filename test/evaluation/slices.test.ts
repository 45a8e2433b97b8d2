import { InvalidInputError } from '#src/errors.js';
import { checkSlices, SliceMembers } from '#src/evaluation/slices.js';

const COLUMNS = [{ name: 'island', type: 'CATEGORY', categories: [] as string[] }] as const;

test.each([
  [100, 20],
  [10_000_000, 2],
])('of a dataset with %i scores, at most %i slices are measured', (scores, most) => {
  const slices = Array.from({ length: most }, () => ({ column: 'island' }));
  const tooMany = () => checkSlices([...slices, { column: 'island' }], COLUMNS, scores);

  expect(checkSlices(slices, COLUMNS, scores)).toHaveLength(most);
  expect(tooMany).toThrow(InvalidInputError);
  expect(tooMany).toThrow(
    expect.objectContaining({
      problems: [expect.objectContaining({ path: ['input', 'slices'], expected: `at most ${most}` })],
    }),
  );
});

test.each(['equals', 'minimum', 'maximum'])(
  'a slice whose %s is infinite is refused: stored as JSON, it would be another slice',
  (field) => {
    const columns = [{ name: 'mass', type: 'NUMBER', categories: [] as string[] }] as const;

    expect(() => checkSlices([{ column: 'mass', [field]: Number.NEGATIVE_INFINITY }], columns, 100)).toThrow(
      expect.objectContaining({
        problems: [expect.objectContaining({ path: ['input', 'slices', '0', field], code: 'NOT_FINITE' })],
      }),
    );
  },
);

test('each value of a text column is a slice, as columns of CSV without a stated type have them, and free text is none', () => {
  const columns = [{ name: 'note', type: 'TEXT', categories: [] as string[] }] as const;
  const [slice] = checkSlices([{ column: 'note' }], columns, 100);
  if (!slice) throw new Error('there is no slice');
  const members = new SliceMembers(slice);
  for (const [item, note] of ['dream', 'x'.repeat(201), 'biscoe', 'dream', null].entries()) members.add(item, { note });

  expect(members.result().map(({ value, items }) => [value, items])).toEqual([
    ['dream', [0, 3]],
    ['biscoe', [2]],
    [null, [4]],
  ]);
});
