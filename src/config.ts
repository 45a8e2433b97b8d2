/**
 * The configuration: every environment variable, parsed once, with all problems reported together.
 *
 * `main.ts` passes the environment to `loadConfig`; all other code receives the frozen `Config`. The `doc` of each key is
 * its row in `OPERATING.md` (a test compares them).
 */
import { isIP } from 'node:net';
import { availableParallelism, totalmem } from 'node:os';
import path from 'node:path';
import { DEVICE_CONTEXT_BYTES, deviceRoom } from './engine/residency.js';
import { STANDBY_WORKERS } from './engine/supervision.js';
import { StartupError } from './errors.js';
import { isHttpsOrLoopback, isLoopback } from './loopback.js';

interface Setting<T> {
  readonly env: string;
  readonly doc: string;
  readonly fallback: T;
  readonly fallbackDoc?: string;
  readonly parse: (text: string) => T;
  /** Its value is not repeated in messages. */
  readonly isSecret?: boolean;
}

const PROVIDERS = ['cuda', 'webgpu', 'cpu'] as const;
type ExecutionProvider = (typeof PROVIDERS)[number];

/** Of public keys only: with others, whoever can verify tokens can make them. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const;
type Algorithm = (typeof ALGORITHMS)[number];

const packageRoot = path.resolve(import.meta.dirname, '..');
const MIN_WORKER_MEMORY_BYTES = 200_000_000;
/** Default workers have at least this much if the budget allows it; there are fewer of them otherwise. */
const USUAL_WORKER_MEMORY_BYTES = 800_000_000;

/** Three quarters of the RAM, or of the limit of the control group if that is smaller (0 or huge if there is none). */
const memoryBudget = Math.floor(0.75 * Math.min(totalmem(), process.constrainedMemory() || totalmem()));
const defaultWorkers = workersWithin(memoryBudget, USUAL_WORKER_MEMORY_BYTES);

function workersWithin(budget: number, memoryBytes: number): number {
  return Math.max(1, Math.min(availableParallelism(), 16, Math.floor(budget / memoryBytes) - STANDBY_WORKERS));
}

function workerMemoryWithin(budget: number, workers: number): number {
  return Math.max(MIN_WORKER_MEMORY_BYTES, Math.floor(budget / (workers + STANDBY_WORKERS)));
}

export const SETTINGS = {
  port: setting('PORT', 4000, integer(0, 65_535), 'Port to listen on, 0 to 65535; 0 picks a free port.'),
  host: setting(
    'HOST',
    '127.0.0.1',
    text,
    'Address to listen on. Addresses beyond loopback need an API key (see `npm run keys`) or `OIDC_ISSUER`.',
  ),
  tlsCertFile: setting<string | null>(
    'TLS_CERT_FILE',
    null,
    text,
    'Certificate of the server in PEM format, with its chain after it. With it, the server speaks HTTPS only, and needs `TLS_KEY_FILE`.',
    'none',
  ),
  tlsKeyFile: setting<string | null>(
    'TLS_KEY_FILE',
    null,
    text,
    'Private key of the certificate in PEM format, without a passphrase.',
    'none',
  ),
  allowedHosts: setting<readonly string[]>(
    'ALLOWED_HOSTS',
    [],
    hostList,
    'Names by which clients may call the server, in the header `Host`, comma-separated. `localhost` and IP addresses need no entry.',
    'none',
  ),
  trustedProxies: setting<readonly string[]>(
    'TRUSTED_PROXIES',
    [],
    addressList,
    'Addresses or subnets of reverse proxies, comma-separated. The address of a client is the last in `X-Forwarded-For` that is not one of them.',
    'none',
  ),
  oidcIssuer: setting<string | null>(
    'OIDC_ISSUER',
    null,
    webAddress,
    'OpenID issuer whose access tokens are accepted beside API keys: the claim `iss`, an address with `https://`, or with `http://` on this machine.',
    'none',
  ),
  oidcAudience: setting<string | null>(
    'OIDC_AUDIENCE',
    null,
    text,
    'The claim `aud` that tokens must have. Required with `OIDC_ISSUER`.',
    'none',
  ),
  oidcJwksUrl: setting<string | null>(
    'OIDC_JWKS_URL',
    null,
    webAddress,
    'Address of the keys of the issuer.',
    "`jwks_uri` of the issuer's `/.well-known/openid-configuration`",
  ),
  oidcAlgorithms: setting<readonly Algorithm[]>(
    'OIDC_ALGORITHMS',
    ['RS256', 'ES256'],
    (value) => value.split(',').map((name) => oneOf(ALGORITHMS)(name.trim())),
    `Signatures of tokens that are accepted, comma-separated, of ${ALGORITHMS.map((name) => `\`${name}\``).join(', ')}.`,
    '`RS256,ES256`',
  ),
  oidcMaxAgeSeconds: setting(
    'OIDC_MAX_AGE_SECONDS',
    86_400,
    integer(60, 2_592_000),
    'Seconds after its issue (`iat`) from which on a token is refused, even if it has not expired; 60 to 2,592,000.',
  ),
  oidcAccountClaim: setting(
    'OIDC_ACCOUNT_CLAIM',
    'sub',
    claim,
    'Claim that names the account: a name, or a path such as `org.id`. The account is `oidc:` and its value.',
  ),
  oidcRolesClaim: setting(
    'OIDC_ROLES_CLAIM',
    'roles',
    claim,
    'Claim that lists the roles: a name, or a path such as `realm_access.roles`. Values that are no roles are ignored.',
  ),
  dataDir: setting('DATA_DIR', './data', text, 'Folder for the databases and blobs; created if missing.'),
  masterKey: {
    ...setting<string | null>(
      'MASTER_KEY',
      null,
      masterKey,
      'Key that protects recorded predictions: base64 of 32 bytes. Prefer `MASTER_KEY_FILE`, whose key can be rotated.',
      'none',
    ),
    isSecret: true,
  },
  masterKeyFile: setting<string | null>(
    'MASTER_KEY_FILE',
    null,
    text,
    'File with that key. Without any of the three, the server makes `master.key` in `DATA_DIR`, where it protects from nobody who can read the folder.',
    '`master.key` in `DATA_DIR`',
  ),
  masterKeyCommand: setting<string | null>(
    'MASTER_KEY_COMMAND',
    null,
    text,
    'Command for the shell that prints that key, for instance by asking a key management service, within 30 s.',
    'none',
  ),
  modelStore: setting(
    'MODEL_STORE',
    path.join(packageRoot, 'model-store'),
    text,
    'Folder whose models are imported, at start and when they change.',
    '`model-store/` of the package',
  ),
  publisherKeysFile: setting<string | null>(
    'PUBLISHER_KEYS_FILE',
    null,
    text,
    'File with the public keys of publishers, in PEM format, one after the other: [signatures](#signatures) of new versions are verified with them.',
    'none',
  ),
  requireSignature: setting(
    'REQUIRE_SIGNATURE',
    false,
    boolean,
    'Whether versions without a signature are refused, from the model store too: `true` or `false`. Needs `PUBLISHER_KEYS_FILE`.',
  ),
  workers: setting(
    'WORKERS',
    defaultWorkers,
    integer(1, 64),
    'Number of inference processes, 1 to 64.',
    'number of cores, at most 16; fewer if the budget has less than 800 MB for each',
  ),
  memoryBudgetBytes: setting(
    'MEMORY_BUDGET',
    memoryBudget,
    integer(1, Number.MAX_SAFE_INTEGER),
    'Data memory, in bytes, for all inference processes: `WORKERS`, one spare and one quarantine worker.',
    '75% of the RAM, or of the memory limit of the control group if that is smaller',
  ),
  workerMemoryBytes: setting(
    'WORKER_MEMORY_BYTES',
    workerMemoryWithin(memoryBudget, defaultWorkers),
    integer(MIN_WORKER_MEMORY_BYTES, Number.MAX_SAFE_INTEGER),
    'Data memory, in bytes, that one worker may allocate; at least 200,000,000. Enforced on Linux only.',
    '`MEMORY_BUDGET` divided by `WORKERS` + 2',
  ),
  executionProviders: setting<readonly ExecutionProvider[]>(
    'EXECUTION_PROVIDERS',
    ['cuda', 'cpu'],
    providerList,
    'Execution providers to try, in order of preference, comma-separated: `cuda`, `webgpu`, `cpu`.',
    '`cuda,cpu`',
  ),
  requireProvider: setting<ExecutionProvider | null>(
    'REQUIRE_PROVIDER',
    null,
    (value) => oneOf(PROVIDERS)(value),
    'Execution provider that must be in use: `cuda`, `webgpu` or `cpu`. If another one is, the server reports not ready.',
    'none',
  ),
  cudaVisibleDevices: setting<readonly string[]>(
    'CUDA_VISIBLE_DEVICES',
    [],
    gpuList,
    'GPUs for CUDA, as indices or UUIDs, comma-separated. Processes are spread over them, and each sees one.',
    'GPU 0',
  ),
  deviceMemoryBytes: setting<number | null>(
    'DEVICE_MEMORY_BYTES',
    null,
    integer(1, Number.MAX_SAFE_INTEGER),
    'Memory of each GPU, in bytes, that the inference processes on it may use together. Loads are held to it by an estimate.',
    'not limited',
  ),
  measureLatency: setting(
    'MEASURE_LATENCY',
    true,
    boolean,
    'Whether to measure the latency of versions while the server is idle: `true` or `false`. Each version is measured once per machine, with at most 2 seconds of computing.',
  ),
  defaultDeadlineMs: setting(
    'DEFAULT_DEADLINE_MS',
    10_000,
    integer(1, 3_600_000),
    'Deadline, in milliseconds, of predictions without a `deadlineMs`; 1 to 3,600,000.',
  ),
  retentionDays: setting(
    'RETENTION_DAYS',
    30,
    integer(1, 3650),
    'Days to keep recorded predictions, 1 to 3,650. `retentionDays` in a `model.yaml` of the model store overrides it for that model; in that of an account, the shorter wins.',
  ),
  maxResponseBytes: setting(
    'MAX_RESPONSE_BYTES',
    16 * 1024 * 1024,
    integer(1024 * 1024, 256 * 1024 * 1024),
    'Largest answer, in bytes, 1,048,576 to 268,435,456. Fields beyond it are left out with the error `RESPONSE_TOO_LARGE`.',
  ),
  maxResponseBytesInFlight: setting(
    'MAX_RESPONSE_BYTES_IN_FLIGHT',
    128 * 1024 * 1024,
    integer(1024 * 1024, Number.MAX_SAFE_INTEGER),
    'Bytes of all answers that are being made or sent, at least twice `MAX_RESPONSE_BYTES`. One caller gets as much as is left for all others. Fields beyond it are left out with the retryable error `OVERLOADED`.',
  ),
  explorer: setting<'sandbox' | 'graphiql' | 'off'>(
    'EXPLORER',
    'sandbox',
    (value) => oneOf(['sandbox', 'graphiql', 'off'] as const)(value),
    'Page that browsers get at `/graphql`: `sandbox` (Apollo Sandbox, or GraphiQL without internet), `graphiql` or `off`.',
  ),
  corsOrigins: setting<readonly string[] | null>(
    'CORS_ORIGINS',
    null,
    (value) => value.split(',').map((origin) => origin.trim()),
    'Origins whose web pages may call the API, comma-separated, beside those of publishable keys. Without keys, they may do everything; see [pages in development](#pages-in-development).',
    '`https://studio.apollographql.com`; without keys also loopback origins, which only run models and read',
  ),
  trustedDocuments: setting<'off' | 'publishable' | 'required'>(
    'TRUSTED_DOCUMENTS',
    'off',
    (value) => oneOf(['off', 'publishable', 'required'] as const)(value),
    'Who may run only operations that are registered with `npm run operations:publish`: nobody (`off`), holders of publishable keys (`publishable`), or everybody but administrators (`required`).',
  ),
  logLevel: setting(
    'LOG_LEVEL',
    'info',
    oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const),
    'Lowest level to log: `fatal`, `error`, `warn`, `info`, `debug`, `trace` or `silent`.',
  ),
} as const;

export type Config = { readonly [K in keyof typeof SETTINGS]: (typeof SETTINGS)[K]['fallback'] };

/** @throws StartupError that lists every invalid variable */
export function loadConfig(env: NodeJS.ProcessEnv): Config {
  const problems: string[] = [];
  const config: Record<string, unknown> = {};
  for (const [key, { env: name, fallback, parse, isSecret }] of Object.entries<Setting<unknown>>(SETTINGS)) {
    const value = env[name];
    try {
      config[key] = value === undefined || value === '' ? fallback : parse(value);
    } catch (error) {
      problems.push(`${name}=${isSecret ? '…' : value}: ${error instanceof Error ? error.message : error}`);
    }
  }
  const masters = ['MASTER_KEY', 'MASTER_KEY_FILE', 'MASTER_KEY_COMMAND'].filter((name) => env[name]);
  if (masters.length > 1) problems.push(`${masters.join(' and ')} are set: set one of them.`);
  if ((config['tlsCertFile'] === null) !== (config['tlsKeyFile'] === null))
    problems.push('TLS_CERT_FILE and TLS_KEY_FILE: set both of them, or none.');
  if (config['requireSignature'] === true && config['publisherKeysFile'] === null)
    problems.push('REQUIRE_SIGNATURE=true: PUBLISHER_KEYS_FILE is missing, so that no signature could be verified.');
  const parsed = fittedToBudget(config as Config, env);
  if (problems.length === 0 && parsed.maxResponseBytesInFlight < 2 * parsed.maxResponseBytes) {
    problems.push(
      `MAX_RESPONSE_BYTES_IN_FLIGHT=${parsed.maxResponseBytesInFlight}: expected at least twice MAX_RESPONSE_BYTES, ` +
        'because an answer may hold as many bytes as are read for it.',
    );
  }
  if (problems.length === 0) problems.push(...issuerProblems(parsed));
  if (problems.length === 0 && isDeviceTooSmall(parsed)) problems.push(deviceTooSmall(parsed));
  const needed = (parsed.workers + STANDBY_WORKERS) * parsed.workerMemoryBytes;
  if (problems.length === 0 && needed > parsed.memoryBudgetBytes) problems.push(overBudget(parsed, needed));
  if (problems.length > 0) throw new StartupError(`The configuration is invalid:\n  ${problems.join('\n  ')}`);
  return Object.freeze(parsed);
}

function issuerProblems({ oidcIssuer, oidcAudience, oidcJwksUrl }: Config): string[] {
  if (oidcIssuer !== null && oidcAudience === null)
    return [
      `OIDC_ISSUER=${oidcIssuer}: OIDC_AUDIENCE is missing. Without it, tokens for other services would be accepted.`,
    ];
  const isUnused = oidcIssuer === null && (oidcAudience !== null || oidcJwksUrl !== null);
  return isUnused ? ['OIDC_AUDIENCE or OIDC_JWKS_URL is set, but OIDC_ISSUER is missing.'] : [];
}

/** The setting by which others than the users of this machine may reach the server; null if there is none. */
export function exposure({ host, allowedHosts, trustedProxies }: Config): string | null {
  if (!isLoopback(host)) return `HOST=${host}`;
  if (allowedHosts.length > 0) return `ALLOWED_HOSTS=${allowedHosts.join(',')}`;
  return trustedProxies.length > 0 ? `TRUSTED_PROXIES=${trustedProxies.join(',')}` : null;
}

/** Derives what the environment leaves open of the number of workers and the memory of each from what it sets. */
function fittedToBudget(config: Config, env: NodeJS.ProcessEnv): Config {
  const { memoryBudgetBytes: budget } = config;
  const perWorker = env['WORKER_MEMORY_BYTES'] ? config.workerMemoryBytes : USUAL_WORKER_MEMORY_BYTES;
  const workers = env['WORKERS'] ? config.workers : workersWithin(budget, perWorker);
  const workerMemoryBytes = env['WORKER_MEMORY_BYTES'] ? config.workerMemoryBytes : workerMemoryWithin(budget, workers);
  return { ...config, workers, workerMemoryBytes };
}

function isDeviceTooSmall({ deviceMemoryBytes, workers, cudaVisibleDevices }: Config): boolean {
  return deviceMemoryBytes !== null && deviceRoom(deviceMemoryBytes, workers, cudaVisibleDevices.length) <= 0;
}

function deviceTooSmall({ deviceMemoryBytes, workers, cudaVisibleDevices }: Config): string {
  const gpus = Math.max(1, cudaVisibleDevices.length);
  return (
    `DEVICE_MEMORY_BYTES=${deviceMemoryBytes}: ${workers + STANDBY_WORKERS} processes (WORKERS=${workers}, a spare and a ` +
    `quarantine worker) on ${gpus} GPU${gpus === 1 ? '' : 's'} leave each less than the ${DEVICE_CONTEXT_BYTES} bytes that it is ` +
    'estimated to take before it loads a version. Lower WORKERS, or raise DEVICE_MEMORY_BYTES.'
  );
}

function overBudget({ workers, workerMemoryBytes, memoryBudgetBytes }: Config, needed: number): string {
  return (
    `WORKERS=${workers} and WORKER_MEMORY_BYTES=${workerMemoryBytes} need ${needed} bytes, because a spare and a quarantine ` +
    `worker are included, but MEMORY_BUDGET=${memoryBudgetBytes}. Lower WORKERS or WORKER_MEMORY_BYTES, or raise MEMORY_BUDGET.`
  );
}

function setting<T>(env: string, fallback: T, parse: (text: string) => T, doc: string, fallbackDoc?: string) {
  return { env, fallback, parse, doc, ...(fallbackDoc ? { fallbackDoc } : {}) } as Setting<T>;
}

function text(value: string): string {
  return value;
}

function integer(minimum: number, maximum: number) {
  return (value: string): number => {
    const number = Number(value);
    if (Number.isSafeInteger(number) && number >= minimum && number <= maximum) return number;
    throw new Error(`expected a whole number from ${minimum} to ${maximum}`);
  };
}

function masterKey(value: string): string {
  if (/^[A-Za-z0-9+/]{43}=$/.test(value)) return value;
  throw new Error('expected base64 of 32 bytes, as made by: openssl rand -base64 32');
}

function boolean(value: string): boolean {
  return oneOf(['true', 'false'] as const)(value) === 'true';
}

function oneOf<const T extends readonly string[]>(values: T) {
  return (value: string): T[number] => {
    if (values.includes(value)) return value;
    throw new Error(`expected one of ${values.join(', ')}`);
  };
}

function webAddress(value: string): string {
  if (isHttpsOrLoopback(value)) return value;
  throw new Error('expected an address with https://, or with http:// on this machine');
}

function claim(value: string): string {
  if (/^[!-~]{1,200}$/.test(value)) return value;
  throw new Error('expected 1 to 200 visible ASCII characters');
}

function hostList(value: string): readonly string[] {
  const hosts = value.split(',').map((host) => host.trim().toLowerCase());
  if (hosts.every((host) => /^[a-z\d]([a-z\d.-]{0,251}[a-z\d])?$/.test(host))) return hosts;
  throw new Error('expected host names without a port, such as models.example.com,models.internal');
}

function addressList(value: string): readonly string[] {
  const addresses = value.split(',').map((address) => address.trim());
  const isAddress = (text: string) => {
    const [address = '', prefix] = text.split('/');
    const bits = isIP(address) === 4 ? 32 : 128;
    return isIP(address) !== 0 && (prefix === undefined || (/^\d+$/.test(prefix) && Number(prefix) <= bits));
  };
  if (addresses.every(isAddress)) return addresses;
  throw new Error('expected IP addresses or subnets, such as 10.0.0.7,10.1.0.0/16');
}

function providerList(value: string): readonly ExecutionProvider[] {
  return value.split(',').map((name) => oneOf(PROVIDERS)(name.trim()));
}

const GPU = /^(\d{1,3}|(GPU|MIG)-[\w/-]{1,100})$/;

/** CUDA itself would ignore what it does not understand, and everything after it. */
function gpuList(value: string): readonly string[] {
  const gpus = value.split(',').map((gpu) => gpu.trim());
  if (gpus.length === 1 && gpus[0] === '-1') return gpus;
  if (gpus.every((gpu) => GPU.test(gpu)) && new Set(gpus).size === gpus.length) return gpus;
  throw new Error('expected different indices or UUIDs of GPUs, such as 0,1 or GPU-8932f937, or -1 for none');
}
