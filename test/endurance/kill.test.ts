/** A bounded share of `npm run test:kill`. */
import { kill } from './kill.ts';

const SEED = 20_261_123;

test.each([
  ['server', 12],
  ['worker', 30],
  ['writer', 15],
] as const)(
  'F13: every acknowledged prediction survives when the %s is killed %i times, and none is there twice',
  async (victim, kills) => {
    const { acknowledged, lost, doubled } = await kill(victim, kills, SEED);

    expect(acknowledged).toBeGreaterThan(kills);
    expect({ lost, doubled }).toEqual({ lost: 0, doubled: 0 });
  },
);
