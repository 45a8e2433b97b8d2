/** A bounded share of `npm run test:kill`. */
import { killServerRounds } from './kill-server.ts';

const ROUNDS = 20;
const SEED = 20_261_123;

test('every acknowledged prediction survives SIGKILL of the server, and none is there twice', async () => {
  const { acknowledged, lost, doubled } = await killServerRounds(ROUNDS, SEED);

  expect(acknowledged).toBeGreaterThan(ROUNDS);
  expect({ lost, doubled }).toEqual({ lost: 0, doubled: 0 });
}, 240_000);
