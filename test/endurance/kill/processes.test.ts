/** A short version of `npm run test:kill -- changes`, and of the other operations. */
import { OPERATIONS } from './operations.ts';
import { killProcesses } from './processes.ts';

const SEED = 20_261_127;
const KILLS = 1;

test.each(Object.keys(OPERATIONS))(
  '%s: after each kill the data folder is whole, with all that was acknowledged',
  async (name) => {
    const { kills } = await killProcesses(name, KILLS, SEED);

    expect(kills).toBe(KILLS);
  },
);
