/** Seeded requests for versions of unequal popularity, and what reference policies would make of them. */
import { seeded } from './seeded-random.ts';

const EXPONENT = 0.9;

/** Requests for versions 0 to `versions` − 1, the most popular first, whose frequencies follow Zipf's law. */
export function zipfRequests(versions: number, count: number, seed: number): number[] {
  let sum = 0;
  const cumulated = Array.from({ length: versions }, (_, i) => (sum += (i + 1) ** -EXPONENT));
  const random = seeded(seed);
  return Array.from({ length: count }, () => {
    const x = random() * sum;
    return cumulated.findIndex((bound) => x < bound);
  });
}

/** Hits of a policy that keeps the `room` most popular versions for ever. */
export function hitsOfMostPopular(requests: readonly number[], room: number): number {
  return requests.filter((version) => version < room).length;
}

/** Hits of Belady's optimal offline policy: it evicts the version that is requested again last. */
export function hitsOfBelady(requests: readonly number[], room: number): number {
  const next = new Array<number>(requests.length).fill(Infinity);
  const seen = new Map<number, number>();
  for (let i = requests.length - 1; i >= 0; i--) {
    next[i] = seen.get(requests[i] as number) ?? Infinity;
    seen.set(requests[i] as number, i);
  }
  const resident = new Map<number, number>();
  let hits = 0;
  for (const [i, version] of requests.entries()) {
    if (resident.has(version)) hits++;
    else if (resident.size === room) {
      const [farthest] = [...resident].reduce((a, b) => (b[1] > a[1] ? b : a));
      resident.delete(farthest);
    }
    resident.set(version, next[i] as number);
  }
  return hits;
}
