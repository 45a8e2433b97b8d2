/** A short version of `npm run test:kill`. */
import { kill } from './kill.ts';

const SEED = 20_261_123;

test.each([
  ['server', 2],
  ['worker', 4],
  ['writer', 2],
] as const)(
  'every acknowledged prediction is stored exactly once after the %s was killed %i times',
  async (victim, kills) => {
    const { acknowledged, lost, doubled } = await kill(victim, kills, SEED);

    expect(acknowledged).toBeGreaterThan(kills);
    expect({ lost, doubled }).toEqual({ lost: 0, doubled: 0 });
  },
);
