/** A short version of `npm run test:ways`. */
import { compareBothWays } from './both-ways.ts';

test('the lane for known documents answers as Apollo Server alone: statuses, headers and bodies', async () => {
  const { differences, plain, withErrors, refused } = await compareBothWays({ documents: 100, seed: 20_261_126 });

  expect(differences).toEqual([]);
  expect(plain).toBeGreaterThan(10);
  expect(withErrors).toBeGreaterThan(0);
  expect(refused).toBeGreaterThan(50);
});
