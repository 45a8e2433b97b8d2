/**
 * What one request costs the server and its other callers. Starts a fresh server, sends the request while another
 * process sends light requests, and prints a report.
 *
 *   npm run build && node test/bench/one-request.ts request.json [--times=1] [--seconds=10] [--env=NAME=VALUE ...]
 *
 * The file holds the body of the request, `{ "query": …, "variables": … }`. `--times` copies are sent at once. The light
 * requests go on for `--seconds`: choose more than the request takes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { watchCpu } from './cpu.ts';
import { ms, percent, type Spread, table } from './numbers.ts';
import { measure, type RunningServer, startModelgraph, workerPids } from './processes.ts';
import { mlpTensor, predictBodies } from './requests.ts';
import type { SteadyOptions } from './steady.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    times: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '10' },
    env: { type: 'string', multiple: true, default: [] },
  },
});
const [file] = positionals;
if (!file) throw new Error('Expected the name of a JSON file with the body of the request.');
const body = readFileSync(file);
const env = Object.fromEntries(options.env.map((one) => [one.split('=')[0], one.slice(one.indexOf('=') + 1)]));

/** From the start of the light requests to the request itself, in ms. */
const LEAD_MS = 2_000;
/** The monitor of the event loop needs a tick before a stall and one after it. */
const SETTLE_MS = 50;
const TYPENAME = JSON.stringify({ query: '{ __typename }' });

interface Sent {
  readonly status: string;
  readonly ms: number;
  readonly bytes: number;
  readonly begins: string;
}

async function send(url: string): Promise<Sent> {
  const begun = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  const request = http.request(url, { method: 'POST', agent: false, headers }, resolve);
  request.on('error', reject).end(body);
  try {
    const response = await promise;
    const answer = await buffer(response);
    const elapsed = performance.now() - begun;
    const begins = answer.subarray(0, 300).toString();
    return { status: String(response.statusCode), ms: elapsed, bytes: answer.length, begins };
  } catch (error) {
    return { status: (error as Error).message, ms: performance.now() - begun, bytes: 0, begins: '' };
  }
}

/** Of the server's own process, in bytes; `peak` since the last call of `resetPeak`. */
function residentBytes(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name: string) => 1_024 * Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]);
  return { now: of('VmRSS'), peak: of('VmHWM') };
}

function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

const probe = (url: string, body: string) =>
  measure<Spread>('steady.ts', { url, body, perSecond: 25, seconds: Number(options.seconds) } satisfies SteadyOptions);

async function observe(server: RunningServer): Promise<string> {
  const { url, pid } = server;
  const groups = { server: [pid], workers: await workerPids(url) };
  const prediction = predictBodies(mlpTensor(), false)[0] as string;
  const isOwnStore = 'MODEL_STORE' in env;
  const probes = Promise.allSettled([probe(url, TYPENAME), ...(isOwnStore ? [] : [probe(url, prediction)])]);
  await sleep(LEAD_MS);
  resetPeak(pid);
  const before = residentBytes(pid).now;
  const endWatch = server.watchLoop();
  await sleep(SETTLE_MS);
  const spent = watchCpu(groups);
  const sent = await Promise.all(Array.from({ length: Number(options.times) }, () => send(url)));
  await sleep(SETTLE_MS);
  const memory = residentBytes(pid);
  const cpu = spent();
  const loop = await endWatch();
  const others = await probes;
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
  const longest = sent.reduce((a, b) => (a.ms > b.ms ? a : b));
  const rows = [
    ['answer', `${longest.status}, ${longest.bytes.toLocaleString('en')} bytes after ${ms(longest.ms)}`],
    ['longest stall of the event loop', ms(loop.max)],
    ['event-loop time', ms(1_000 * loop.utilization * cpu.seconds)],
    ['resident memory of the server', `${mb(before)}, at most ${mb(memory.peak)}: +${mb(memory.peak - before)}`],
    ['CPU time of the server', ms(1_000 * (cpu.groups['server'] ?? 0))],
    ['CPU time of the workers', ms(1_000 * (cpu.groups['workers'] ?? 0))],
    ['CPU of other processes', percent(cpu.others / cpu.seconds)],
    ...others.map((one, i) => [`other callers, ${i === 0 ? '{ __typename }' : 'predictions'}`, describe(one)]),
  ];
  return `${table([`${file}, ${body.length.toLocaleString('en')} bytes, ${options.times} at once`, ''], rows)}\n\n${longest.begins}\n`;
}

function describe(probed: PromiseSettledResult<Spread>): string {
  if (probed.status === 'rejected') return `FAILED: ${probed.reason}`;
  const { p50, p99, max, count } = probed.value;
  return `p50 ${ms(p50)}, p99 ${ms(p99)}, at most ${ms(max)} (${count} requests)`;
}

const server = await startModelgraph(env);
try {
  console.log(await observe(server));
} finally {
  await server.stop();
}
