/** A short version of `npm run test:properties`. */
import { TASKS } from '#src/tasks/tasks.js';
import { properties } from './properties.ts';

const SEED = 20_261_124;
const INPUTS = 8;

test('every task answers any input consistently or says what is wrong with it, and no worker is lost', async () => {
  const { failures, tasks, ...report } = await properties({ inputs: INPUTS, seed: SEED });

  expect(failures).toEqual([]);
  expect(report).toMatchObject({ logged: [], workersLost: 0, exitCode: 0 });
  expect(Object.keys(tasks).sort()).toEqual([...TASKS].sort());
  for (const [task, { inputs, alone, answered, noNumber }] of Object.entries(tasks)) {
    // A good share passes validation, and these models return a finite number for every valid input.
    expect({ task, isAnswered: answered > inputs / 4 }).toEqual({ task, isAnswered: true });
    expect({ task, noNumber }).toEqual({ task, noNumber: 0 });
    expect(inputs).toBeGreaterThanOrEqual(INPUTS);
    expect(alone).toBeGreaterThan(0);
  }
});
