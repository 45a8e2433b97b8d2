/** A short version of `npm run test:kill`. */
import { kill } from './kill.ts';

const SEED = 20_261_123;

test.each([
  ['server', 3],
  ['worker', 8],
  ['writer', 4],
] as const)(
  'every acknowledged prediction is stored exactly once after the %s was killed %i times',
  async (victim, kills) => {
    const { acknowledged, lost, doubled } = await kill(victim, kills, SEED);

    expect(acknowledged).toBeGreaterThan(kills);
    expect({ lost, doubled }).toEqual({ lost: 0, doubled: 0 });
  },
);
