/** What this machine has of everything that a provider for GPUs needs, so that what is missing can be installed. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const ORT = 'node_modules/onnxruntime-node/bin/napi-v6/linux/x64';
const DRIVER = '/proc/driver/nvidia/version';

/** Files by what they belong to. A version is any number of digits. */
const LIBRARIES: Readonly<Record<string, readonly RegExp[]>> = {
  "NVIDIA's driver": [/^libcuda\.so\.1$/],
  'CUDA runtime': [/^libcudart\.so\.\d+$/],
  cuBLAS: [/^libcublas\.so\.\d+$/, /^libcublasLt\.so\.\d+$/],
  cuFFT: [/^libcufft\.so\.\d+$/],
  cuRAND: [/^libcurand\.so\.\d+$/],
  'cuDNN 9': [/^libcudnn\.so\.9$/],
  Vulkan: [/^libvulkan\.so\.1$/],
};

/** One line for each requirement: where it is, or that it is missing. */
export function requirements(libraryPath = process.env['LD_LIBRARY_PATH'] ?? ''): string[] {
  const files = [...filesIn(libraryPath.split(':').filter(Boolean)), ...cachedFiles()];
  const found = Object.entries(LIBRARIES).map(([name, patterns]) => {
    const places = patterns.flatMap((pattern) => files.find((file) => pattern.test(path.basename(file))) ?? []);
    return `${name}: ${places.length === patterns.length ? places.join(', ') : 'missing'}`;
  });
  return [driver(), ...found, providerLibraries()];
}

function driver(): string {
  const version = existsSync(DRIVER) ? readFileSync(DRIVER, 'utf8').split('\n')[0] : null;
  return `kernel module of NVIDIA: ${version ?? `missing (no ${DRIVER})`}`;
}

function providerLibraries(): string {
  const missing = ['cuda', 'shared']
    .map((name) => `libonnxruntime_providers_${name}.so`)
    .filter((file) => !existsSync(path.join(ORT, file)));
  return `ONNX Runtime's libraries for CUDA: ${missing.length === 0 ? ORT : `missing: ${missing.join(', ')} in ${ORT}`}`;
}

function filesIn(folders: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    existsSync(folder) ? readdirSync(folder).map((file) => path.join(folder, file)) : [],
  );
}

/** Those that the loader finds without LD_LIBRARY_PATH. */
function cachedFiles(): string[] {
  try {
    const listed = execFileSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' });
    return Array.from(listed.matchAll(/=> (\S+)/g), ([, file]) => file as string);
  } catch {
    return [];
  }
}
