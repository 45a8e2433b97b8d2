/** What the NVIDIA driver says of the GPUs of this machine. */
import { execFileSync } from 'node:child_process';

const QUERY = ['name', 'driver_version', 'memory.used', 'memory.total'];

function ask(...args: string[]): string {
  return execFileSync('nvidia-smi', [...args, '--format=csv,noheader,nounits'], { encoding: 'utf8' }).trim();
}

/** One line for each GPU, or why there is none. */
export function gpus(): string[] {
  try {
    return ask(`--query-gpu=${QUERY.join(',')}`).split('\n');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return [code === 'ENOENT' ? 'none: nvidia-smi is not installed' : `none: ${message.slice(0, 300)}`];
  }
}

/** Memory in use on all GPUs, in MiB; null without nvidia-smi. */
export function usedMiB(): number | null {
  try {
    return ask('--query-gpu=memory.used')
      .split('\n')
      .reduce((sum, line) => sum + Number(line), 0);
  } catch {
    return null;
  }
}
