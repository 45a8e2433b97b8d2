/**
 * Which execution providers work on this machine. ONNX Runtime lists the providers it was compiled with; only a run in a
 * process of its own shows whether the libraries, the driver and the device are there.
 */
import type { StartChild } from './child.js';
import { gpuName } from './device.js';
import { withDisposableWorker } from './disposable-worker.js';

export interface ProviderCheck {
  readonly name: string;
  readonly available: boolean;
  /** Why it cannot be used; null if it can. */
  readonly reason: string | null;
}

const MAX_STDERR_CHARACTERS = 4_000;

/** Runs a tiny graph; with CUDA on each of the GPUs, all of which must work. Takes at most 60 s. */
export async function checkProvider(
  startChild: StartChild,
  name: string,
  gpus: readonly string[] = [],
): Promise<ProviderCheck> {
  if (name === 'cpu') return { name, available: true, reason: null };
  if (name !== 'cuda' || gpus.length === 0) return checkOnce(startChild, name);
  const checks = await Promise.all(
    gpus.map(async (gpu) => {
      const check = await checkOnce((purpose, events) => startChild(purpose, events, gpu), name);
      return { ...check, reason: check.reason && `${gpuName(gpu)}: ${check.reason}` };
    }),
  );
  return checks.find(({ available }) => !available) ?? (checks[0] as ProviderCheck);
}

async function checkOnce(startChild: StartChild, name: string): Promise<ProviderCheck> {
  let stderr = '';
  const exited = Promise.withResolvers<void>();
  const startListening: StartChild = (purpose, events) =>
    startChild(purpose, {
      onMessage: (message) => events.onMessage(message),
      onProtocolError: (reason) => events.onProtocolError(reason),
      onStderr: (text) => {
        if (stderr.length < MAX_STDERR_CHARACTERS) stderr += text;
      },
      onExit: (signal, how) => {
        events.onExit(signal, how);
        exited.resolve();
      },
    });
  try {
    const reply = await withDisposableWorker(startListening, (ask) => ask({ kind: 'checkProvider', provider: name }));
    if (reply.kind !== 'providerChecked') throw new Error('the process did not say whether it can be used');
    if (reply.available) return { name, available: true, reason: null };
    await exited.promise;
    return { name, available: false, reason: withCause(reply.reason ?? 'no reason was given', stderr) };
  } catch (error) {
    return { name, available: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** Native libraries write what is missing to stderr; their exception says only that something failed. */
const CAUSES = /Failed to load library [^\n]+|Couldn't load Vulkan: [^\n]+|vkCreateInstance[^\n]+/g;

function withCause(reason: string, stderr: string): string {
  const causes = stderr.match(CAUSES) ?? [];
  return [reason, ...new Set(causes)].map((text) => text.trim()).join('; ');
}
