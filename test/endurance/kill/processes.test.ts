/** A short version of `npm run test:kill -- changes`, and of the other operations. */
import { killProcesses } from './processes.ts';

const SEED = 20_261_127;
const KILLS = 1;
/** The others take longer, and have the same kinds of steps. */
const SHARE = ['uploads', 'erasures', 'rotation', 'outcomes'];

test.each(SHARE)('%s: after each kill the data folder is whole, with all that was acknowledged', async (name) => {
  const { kills } = await killProcesses(name, KILLS, SEED);

  expect(kills).toBe(KILLS);
});
