/** What an API key costs: the same predictions with and without one, in interleaved rounds. */
import { type Contender, describeRange, describeRounds, play, ROUND_HEADER, rate, ratios } from './contest.ts';
import { table } from './numbers.ts';
import { ask, type RunningServer } from './processes.ts';
import { mlpTensor, predictRequests, STORE } from './requests.ts';
import type { Goal, Section } from './sections.ts';
import { measureBare } from './throughput.ts';

const CLIENTS = 64;
/** What is left of the throughput. */
const AIMS = { unrecorded: 0.9, recorded: 0.8 };
/** Never reached, so that they are counted and refuse nothing. */
const LIMITS = '{ operationsPerSecond: 1000000, operationsPerDay: 1000000000, computeMsPerSecond: 1000000 }';

/** `open` has no key, and `keyed` gets its first ones here. */
export async function accessSection(open: RunningServer, keyed: RunningServer, isQuick: boolean): Promise<Section> {
  const workload = mlpTensor();
  const { right } = await measureBare({ workload, store: STORE, title: 'light' }, isQuick);
  const plain = await newKey(keyed, null, null);
  const limited = await newKey(keyed, LIMITS, plain);
  const contender = (title: string, key: string | null, record: boolean): Contender => {
    const authorization = key === null ? {} : { authorization: `Bearer ${key}` };
    const headers = { 'content-type': 'application/json', ...authorization };
    const requests = predictRequests(workload, right, record).map((request) => ({ ...request, headers }));
    return { title, server: key === null ? open : keyed, format: 'predict', requests };
  };
  const amount = { connections: CLIENTS, seconds: isQuick ? 0.8 : 2, rounds: isQuick ? 1 : 5 };
  const rows: string[][] = [];
  const goals: Goal[] = [];
  for (const [kind, aim] of Object.entries(AIMS)) {
    const isRecorded = kind === 'recorded';
    const contenders = [
      contender(`no key, ${kind}`, null, isRecorded),
      contender(`key, ${kind}`, plain, isRecorded),
      contender(`key with limits, ${kind}`, limited, isRecorded),
    ];
    const rounds = await play(contenders, amount);
    rows.push(...contenders.map(({ title }, c) => [title, ...describeRounds(rounds[c] ?? [], rounds[0] ?? [])]));
    for (const [c, what] of [
      [1, 'a key'],
      [2, 'a key with limits'],
    ] as const) {
      const range = ratios(rounds[c] ?? [], rounds[0] ?? [], rate);
      goals.push({
        what: `light, ${CLIENTS} clients, ${kind}: with ${what} × without`,
        aim: `≥ ${aim}`,
        measured: describeRange(range),
        isMet: range.median >= aim,
      });
    }
  }
  return {
    goals,
    markdown: `## What a key costs

${table(['light model', ...ROUND_HEADER], rows)}

*How to read it:* ${CLIENTS} clients, one item per request. Two servers with the same settings, of which one has keys; medians of
${amount.rounds} rounds, in which they take turns; "×" and "p99 ×" are ratios to the row without a key. Recorded predictions are
encrypted in both. The limits are counted and never reached. Every answer was compared with that of the bare graph.`,
  };
}

/** Made by the local administrator, or with `key`. */
async function newKey(server: RunningServer, limits: string | null, key: string | null): Promise<string> {
  const roles = key === null ? '[ADMIN]' : '[PREDICTOR]';
  const more = limits === null ? '' : `, limits: ${limits}`;
  const query = `mutation { createApiKey(input: { account: "bench", name: "bench", roles: ${roles}${more} }) { secret problem { message } } }`;
  type Answer = { readonly createApiKey: { readonly secret: string | null; readonly problem: unknown } };
  const { secret, problem } = (await ask<Answer>(server.url, query, key)).createApiKey;
  if (secret === null) throw new Error(`no key was made: ${JSON.stringify(problem)}`);
  return secret;
}
