/** A bounded share of `npm run test:fuzz`. */
import { fuzz } from './fuzz.ts';

const SEED = 20_261_123;

test('whatever comes is answered in the caller’s words, and every worker lives on', async () => {
  const { samples, documents, inputs, ...report } = await fuzz({ documents: 2_000, inputs: 500, seed: SEED });

  expect(samples).toEqual([]);
  expect(report).toMatchObject({ internalErrors: 0, workersLost: 0, exitCode: 0 });
  // Not all of it is refused at the door.
  expect(documents.answered).toBeGreaterThan(documents.sent / 10);
  expect(inputs.answered).toBeGreaterThan(inputs.sent / 10);
});
