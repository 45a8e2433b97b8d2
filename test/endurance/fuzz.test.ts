/** A short version of `npm run test:fuzz`. */
import { fuzz } from './fuzz.ts';

const SEED = 20_261_123;

test('every malformed request gets an error that names its mistake, and no worker is lost', async () => {
  const { samples, documents, inputs, ...report } = await fuzz({ documents: 150, inputs: 40, seed: SEED });

  expect(samples).toEqual([]);
  expect(report).toMatchObject({ internalErrors: 0, workersLost: 0, exitCode: 0 });
  // A good share passes validation and reaches the models.
  expect(documents.answered).toBeGreaterThan(documents.sent / 10);
  expect(inputs.answered).toBeGreaterThan(inputs.sent / 10);
});
