/** The candidates of a detector are bounded, however many boxes score. */
import { type Candidate, Candidates, MAX_CANDIDATES } from '#src/tasks/boxes.js';

test.each([
  ['equal', () => 0.5],
  ['rising', (i: number) => i],
  ['falling', (i: number) => -i],
  ['repeated', (i: number) => i % 1_000],
])('of %s scores, the best candidates are kept as if all had been sorted', (_, scoreOf) => {
  const all = Array.from(
    { length: 5 * MAX_CANDIDATES + 7 },
    (_, i): Candidate => ({ label: 0, score: scoreOf(i), at: i }),
  );
  const candidates = new Candidates();
  for (const candidate of all) candidates.add(candidate);

  const sorted = [...all].sort((a, b) => b.score - a.score).slice(0, MAX_CANDIDATES);

  expect(candidates.best().map(({ at }) => at)).toEqual(sorted.map(({ at }) => at));
});
