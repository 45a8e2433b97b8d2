/**
 * Proves the execution providers for GPUs on this machine, or says what it has and what is missing: `npm run test:gpu`.
 *
 * For each provider, a real server imports every shipped model and a generated one, with its golden cases, and answers on
 * the provider. The answers are compared with those on the CPU. The exit status is 1 if a provider works but something
 * fails on it. Options, such as `npm run test:gpu -- --require=cuda`:
 *
 * `--providers=cuda,webgpu`  what to prove
 * `--require=cuda`           exit status 1 unless this provider is proven
 * `--models=penguins`        fewer shipped models, for slow drivers
 * `--seconds=0.5`            per measurement
 * `--rounds=20`              of loading and releasing a model
 * `--workers=2`              of the server
 * `--report=report.json`     everything that was found
 */
import { cpSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { createGeneratedStore } from '../bench/graphs.ts';
import { gpus } from './device.ts';
import { type Proof, prove, type Unavailable } from './prove.ts';
import { requirements } from './requirements.ts';
import { print } from './table.ts';

const STORE = path.resolve('model-store');

const { values: options } = parseArgs({
  options: {
    providers: { type: 'string', default: 'cuda,webgpu' },
    require: { type: 'string' },
    models: { type: 'string' },
    seconds: { type: 'string', default: '0.5' },
    rounds: { type: 'string', default: '20' },
    workers: { type: 'string', default: '2' },
    report: { type: 'string' },
  },
});

const wanted = options.models?.split(',');
/** Folders of all models, or of those that are named. */
function isWanted(file: string): boolean {
  const [folder = ''] = path.relative(STORE, file).split(path.sep);
  return folder !== 'optional' && (!wanted || folder === '' || folder === 'datasets' || wanted.includes(folder));
}

for (const line of requirements()) console.log(line);
const store = await createGeneratedStore();
const found: (Proof | Unavailable)[] = [];
try {
  cpSync(STORE, store.folder, { recursive: true, filter: isWanted });
  const trial = {
    store: store.folder,
    workers: Number(options.workers),
    seconds: Number(options.seconds),
    rounds: Number(options.rounds),
  };
  const cpu = await prove('cpu', trial, null);
  found.push(cpu);
  const expected = 'answers' in cpu ? cpu.answers : null;
  for (const provider of options.providers.split(',')) found.push(await prove(provider, trial, expected));
} finally {
  await store.remove();
}

if (options.report) {
  const report = { node: process.version, requirements: requirements(), gpus: gpus(), providers: found };
  writeFileSync(options.report, JSON.stringify(report, null, 1));
}
print(found);
const hasFailed = found.some((one) => 'failures' in one && one.failures.length > 0);
const isMissing = options.require && !found.some((one) => one.provider === options.require && 'failures' in one);
if (hasFailed || isMissing) process.exitCode = 1;
