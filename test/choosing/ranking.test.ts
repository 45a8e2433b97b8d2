/** Rankings of generated versions: what holds whatever was measured of them. */
import fc from 'fast-check';
import { type Candidate, choose, missesOf } from '#src/choosing/ranking.js';

const measured = fc.option(fc.integer({ min: 0, max: 3 }), { nil: null });
const candidate = fc.record({
  value: fc.option(fc.integer({ min: 0, max: 3 }), { nil: null }),
  isComputed: fc.boolean(),
  isOnTrainingData: fc.boolean(),
  p50Ms: measured,
  p95Ms: measured,
  residentBytes: measured,
  artifactBytes: measured,
});

const candidates = (higherIsBetter: boolean) =>
  fc.array(candidate, { maxLength: 12 }).map((found) =>
    found.map(({ value, ...one }, i): Candidate => {
      const metric = { name: 'm', average: null, label: null, undefinedReason: null, interval: null };
      return {
        ...one,
        metric: { ...metric, value, higherIsBetter },
        versionId: `${i}`,
        evaluationId: `${i}`,
        ref: `v:${String(i).padStart(2, '0')}`,
        license: null,
      };
    }),
  );

const bounded = fc.record({ maxP50Ms: measured, maxResidentBytes: measured, maxArtifactBytes: measured });

test.each([true, false])(
  'each version is ranked or excluded for a reason, in one order (higherIsBetter: %s)',
  (isHigher) => {
    fc.assert(
      fc.property(candidates(isHigher), bounded, (given, constraints) => {
        const { ranked, others } = choose(given, constraints);

        expect([...ranked, ...others].map(({ candidate }) => candidate.ref).sort()).toEqual(
          given.map(({ ref }) => ref),
        );
        expect(choose(given.toReversed(), constraints)).toEqual({ ranked, others });
        expect(ranked.map(({ rank }) => rank)).toEqual(ranked.map((_, i) => i + 1));
        for (const { candidate, misses, unrankedReason } of others) {
          expect(misses.length > 0 || unrankedReason !== null).toBe(true);
          expect(misses).toEqual(missesOf(candidate, constraints));
          for (const { by } of misses) expect(by === null || by > 0).toBe(true);
        }
        for (const [i, { candidate, above }] of ranked.entries()) {
          expect(above).toBe(ranked[i - 1]?.candidate ?? null);
          expect(candidate.isOnTrainingData).toBe(false);
          if (above) expect(candidate.isComputed && !above.isComputed).toBe(false);
        }
      }),
      { seed: 1, numRuns: 500 },
    );
  },
);

test('what is not Pareto-optimal was beaten by a Pareto-optimal version that is ranked above it', () => {
  fc.assert(
    fc.property(candidates(true), (given) => {
      const { ranked } = choose(given, {});
      const place = new Map(ranked.map((entry, i) => [entry.candidate, i]));

      if (ranked.length > 0) expect(ranked.some(({ isParetoOptimal }) => isParetoOptimal)).toBe(true);
      for (const [i, { isParetoOptimal, beatenBy }] of ranked.entries()) {
        expect(beatenBy === null).toBe(i === 0 && isParetoOptimal);
        if (!beatenBy) continue;
        const at = place.get(beatenBy.winner) as number;
        expect(beatenBy.isInAllRespects).toBe(!isParetoOptimal);
        expect(at).not.toBe(i);
        if (!isParetoOptimal) expect(ranked[at]?.isParetoOptimal).toBe(true);
        else expect(at).toBe(0);
      }
    }),
    { seed: 1, numRuns: 500 },
  );
});

test('versions are compared by the average of the best one that is ranked', () => {
  const of = (ref: string, value: number, average: string, more: Partial<Candidate> = {}): Candidate => ({
    metric: { name: 'f1', average, label: null, value, undefinedReason: null, higherIsBetter: true, interval: null },
    ...{ ref, versionId: ref, evaluationId: ref, license: null, isComputed: true, isOnTrainingData: false },
    ...{ p50Ms: 1, p95Ms: 1, residentBytes: 1, artifactBytes: 1 },
    ...more,
  });
  const { ranked, others } = choose(
    [
      of('trained', 1, 'weighted', { isOnTrainingData: true }),
      of('slow', 0.9, 'weighted', { p50Ms: 9 }),
      of('imported', 0.95, 'micro', { isComputed: false }),
      of('good', 0.8, 'macro'),
      of('fair', 0.7, 'macro'),
    ],
    { maxP50Ms: 5 },
  );

  expect(ranked.map(({ candidate }) => candidate.ref)).toEqual(['good', 'fair']);
  expect(others.map(({ candidate, unrankedReason }) => [candidate.ref, unrankedReason])).toEqual([
    ['trained', expect.stringContaining('trained on the dataset')],
    ['slow', expect.stringContaining('averaged as "weighted", and that of the others averaged as "macro"')],
    ['imported', expect.stringContaining('averaged as "micro", and that of the others averaged as "macro"')],
  ]);
});
