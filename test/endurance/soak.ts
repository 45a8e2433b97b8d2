/**
 * Long runs under faults.
 *
 *   node test/endurance/soak.ts swaps [predictions] [seed]     light predictions under worker kills, each compared
 *   node test/endurance/soak.ts availability [seconds]         a worker killed every second under 32 clients
 *   node test/endurance/soak.ts poison [batches]               batches with one input that ends its process
 *   node test/endurance/soak.ts leaks [rounds]                 loads, unloads and kills, and what is left of them
 *
 * Each prints one line of JSON. Without arguments all run, with the counts that `README.md` here records.
 */
import { availability } from './soak/availability.ts';
import { leaks } from './soak/leaks.ts';
import { poison } from './soak/poison.ts';
import { swaps } from './soak/swaps.ts';

const RUNS: Readonly<Record<string, (count: number | undefined, seed: number) => Promise<object>>> = {
  swaps: (predictions = 1_000_000, seed) => swaps(predictions, seed),
  availability: (seconds = 60) => availability(seconds),
  poison: (batches = 1_056) => poison(batches),
  leaks: (rounds = 1_000) => leaks(rounds),
};

const [name, count, seed = '1'] = process.argv.slice(2);
const names = name === undefined ? Object.keys(RUNS) : [name];
for (const one of names) {
  const run = RUNS[one];
  if (!run) throw new Error(`there is no run "${one}": expected one of ${Object.keys(RUNS).join(', ')}`);
  const report = await run(count === undefined ? undefined : Number(count), Number(seed));
  process.stdout.write(`${JSON.stringify({ run: one, seed: Number(seed), ...report })}\n`);
}
process.exit(0);
