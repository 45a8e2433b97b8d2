/**
 * Long runs under faults.
 *
 *   node test/endurance/soak.ts swaps [predictions] [seed]   compares light predictions while workers are killed
 *   node test/endurance/soak.ts availability [seconds]       kills a worker every second under 32 clients
 *   node test/endurance/soak.ts poison [batches]             runs batches with one input that crashes its process
 *   node test/endurance/soak.ts leaks [rounds]               looks for leaks after loads, unloads and kills
 *   node test/endurance/soak.ts growth [predictions]         looks for memory that grows with what was answered or refused
 *
 * Each prints its report as one line of JSON. Without arguments all of them run.
 */
import { availability } from './soak/availability.ts';
import { growth } from './soak/growth.ts';
import { leaks } from './soak/leaks.ts';
import { poison } from './soak/poison.ts';
import { swaps } from './soak/swaps.ts';

const RUNS: Readonly<Record<string, (count: number | undefined, seed: number) => Promise<object>>> = {
  swaps: (predictions = 1_000_000, seed) => swaps(predictions, seed),
  availability: (seconds = 60) => availability(seconds, 20),
  poison: (batches = 1_056) => poison(batches),
  leaks: (rounds = 1_000) => leaks(rounds),
  growth: (predictions = 1_000_000) => growth(predictions),
};

const [name, count, seed = '1'] = process.argv.slice(2);
const names = name === undefined ? Object.keys(RUNS) : [name];
for (const one of names) {
  const run = RUNS[one];
  if (!run) throw new Error(`There is no run "${one}": expected one of ${Object.keys(RUNS).join(', ')}`);
  const report = await run(count === undefined ? undefined : Number(count), Number(seed));
  process.stdout.write(`${JSON.stringify({ run: one, seed: Number(seed), ...report })}\n`);
}
process.exit(0);
