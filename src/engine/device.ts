/**
 * The name of the device on which an execution provider runs graphs. ONNX Runtime does not tell, so it is read from the
 * operating system, and it is unknown where that leaves a choice.
 */
import { readdir, readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import path from 'node:path';

/** One folder for each GPU, written by NVIDIA's driver for Linux. */
const NVIDIA_GPUS = '/proc/driver/nvidia/gpus';

/** Null if it is unknown: for WebGPU, and for CUDA if there are GPUs of several models. */
export async function deviceOf(provider: string, nvidiaGpus = NVIDIA_GPUS): Promise<string | null> {
  if (provider === 'cpu') return cpus()[0]?.model.trim() || null;
  return provider === 'cuda' ? nvidiaModel(nvidiaGpus) : null;
}

async function nvidiaModel(folder: string): Promise<string | null> {
  const gpus = await readdir(folder).catch(() => []);
  const texts = await Promise.all(
    gpus.map((gpu) => readFile(path.join(folder, gpu, 'information'), 'utf8').catch(() => '')),
  );
  const models = new Set(texts.map((text) => /^Model:\s*(\S.*?)\s*$/m.exec(text)?.[1] ?? null));
  return models.size === 1 ? ([...models][0] as string | null) : null;
}

/** How people name a GPU of `CUDA_VISIBLE_DEVICES`, which may also be a UUID such as "GPU-8932f937". */
export function gpuName(gpu: string): string {
  return /^\d+$/.test(gpu) ? `GPU ${gpu}` : gpu;
}

/** The GPU that the fewest processes have, the first of those; undefined if there are none to choose from. */
export function leastUsedGpu(gpus: readonly string[], used: readonly (string | undefined)[]): string | undefined {
  const usesOf = (gpu: string) => used.filter((one) => one === gpu).length;
  return [...gpus].sort((a, b) => usesOf(a) - usesOf(b))[0];
}
