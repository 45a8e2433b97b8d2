/** A short version of `npm run test:graphs`. */
import { testHostileGraphs } from './hostile-graphs.ts';

test('mutants of ONNX files affect neither the server nor another version', async () => {
  const report = await testHostileGraphs({ scanned: 1_000, probed: 50, seed: 7 });

  expect(report).toMatchObject({ probed: 50, wrongAnswers: 0, restarts: 0, exitCode: 0 });
  expect(report.states.READY ?? 0).toBeLessThan(50);
  expect(report.slowestScanMs).toBeLessThan(1_000);
});
