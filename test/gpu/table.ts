/** What was found, for people. */
import type { BareRuns } from './bare.ts';
import { gpus } from './device.ts';
import type { Proof, Unavailable } from './prove.ts';

export function print(found: readonly (Proof | Unavailable)[]): void {
  for (const gpu of gpus()) console.log(`\nGPU: ${gpu}`);
  for (const one of found) {
    if ('reason' in one) console.log(`\n${one.provider}: not verified, because it does not work here. ${one.reason}`);
    else printProof(one);
  }
}

function printProof(proof: Proof): void {
  const { provider, failures, importMs, gpuMiB, rounds, kills, workers } = proof;
  console.log(`\n${provider}: ${failures.length === 0 ? 'verified' : 'FAILED'}`);
  for (const failure of failures) console.log(`  FAILED: ${failure}`);
  console.log(
    `  import: ${(importMs / 1_000).toFixed(1)} s; GPU memory before and while running: ${gpuMiB.join(', ')} MiB`,
  );
  console.log(
    `  workers: ${workers.map(({ dataMb, residentMb }) => `${dataMb} MB data, ${residentMb} MB resident`).join('; ')}`,
  );
  console.log(
    `  ${kills.killed} workers killed: replaced after ${kills.recoveredMs} ms, ${kills.answered} inputs answered`,
  );
  console.log(`  load and release: ${JSON.stringify(rounds.seen)}`);
  console.log(
    '  | model | difference | items/s of a server by inputs per request | nodes | run in ms by batch (first run) |',
  );
  for (const [model, runs] of Object.entries(proof.bare)) {
    const difference = proof.differences?.[model]?.difference.toExponential(1) ?? '';
    const speeds = Object.entries(proof.speeds[model] ?? {}).map(([size, perSecond]) => `${size}: ${perSecond}`);
    console.log(
      `  | ${[model, difference, speeds.join(', '), ...('error' in runs ? ['failed', ''] : bareColumns(runs))].join(' | ')} |`,
    );
  }
}

function bareColumns({ nodes, batches }: BareRuns): string[] {
  return [
    Object.entries(nodes)
      .map(([provider, count]) => `${provider.replace('ExecutionProvider', '')} ${count}`)
      .join(', '),
    batches.map(({ size, medianMs, firstMs }) => `${size}: ${medianMs.toFixed(3)} (${firstMs.toFixed(0)})`).join(', '),
  ];
}
