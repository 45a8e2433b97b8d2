/**
 * How long a plain list and a prediction wait while two callers filter a large catalog by metrics, over HTTP. Run by `npm
 * run build && node test/bench/growth-beside.ts FOLDER`, with a folder that `npm run bench:growth` has filled. The model
 * store is imported into it.
 */
import { parseArgs } from 'node:util';
import { postFrom } from '../support/graphql-client.ts';
import { ms, spreadOf, table } from './numbers.ts';
import { startModelgraph } from './processes.ts';

const SECONDS = 10;
const EVERY_MS = 50;

const LIST = '{ models(first: 20) { nodes { name title tags } } }';
const PREDICT = `mutation { predict(input: { model: "spam-filter", input: { text: "hello" }, record: false }) {
  prediction { createdAt } problem { message } } }`;
/** No two are equal, so that no total is known. */
const filter = (min: number) => `{ models(filter: { metric: { metric: "accuracy", min: ${min} } }, first: 20) {
  nodes { name } totalCount facets { field buckets { value count } } } }`;

const { positionals } = parseArgs({ allowPositionals: true });
const server = await startModelgraph({ DATA_DIR: positionals[0] ?? 'data-growth', RETENTION_DAYS: '3650' });
const url = server.url.replace(/\/graphql$/, '');

async function ask(address: string, query: string): Promise<number> {
  const from = performance.now();
  const { errors, data } = await postFrom(address, url, query);
  if (errors || data.predict?.problem) throw new Error(JSON.stringify(errors ?? data));
  return performance.now() - from;
}

/** Asks at a steady rate, whether or not earlier answers have arrived. */
async function sample(address: string, query: string): Promise<number[]> {
  const asked: Promise<number>[] = [];
  for (const until = performance.now() + SECONDS * 1_000; performance.now() < until; ) {
    asked.push(ask(address, query));
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  return Promise.all(asked);
}

async function filterUntil(address: string, isOver: () => boolean): Promise<number[]> {
  const times: number[] = [];
  while (!isOver()) times.push(await ask(address, filter(Math.random() * 1.2)));
  return times;
}

const row = (name: string, times: number[]) => {
  const { count, p50, p99, max } = spreadOf(times);
  return [name, String(count), ms(p50), ms(p99), ms(max)];
};
const samples = () => Promise.all([sample('127.0.0.1', LIST), sample('127.0.0.2', PREDICT)]);

await samples();
const [list, predict] = await samples();
let isOver = false;
const filters = ['127.0.0.3', '127.0.0.4'].map((address) => filterUntil(address, () => isOver));
const [listBeside, predictBeside] = await samples();
isOver = true;
const filtered = (await Promise.all(filters)).flat();
await server.stop();

console.log(
  table(
    ['request', 'answers', 'p50', 'p99', 'longest'],
    [
      row('list alone', list),
      row('list beside two metric filters', listBeside),
      row('prediction alone', predict),
      row('prediction beside two metric filters', predictBeside),
      row('metric filter with total and facets', filtered),
    ],
  ),
);
