/**
 * Uploads a file to a server that has just started, and prints by how much its memory grows meanwhile. Fails above 64 MB.
 *
 *   node test/endurance/upload.ts [MiB] [options for Node]
 *
 * V8's heap for young objects, which grows to 48 MB under any load, is part of it: `--max-semi-space-size=4` keeps that at 12 MB.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type ClientRequest, request } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { processMemory } from '#src/process-memory.js';
import { post } from '../support/graphql-client.ts';
import { startServer } from '../support/server.ts';

const MIB = 1024 * 1024;
const MAX_GROWTH_MB = 64;
const CHUNK = Buffer.alloc(MIB, 'modelgraph');

const CREATE = `mutation ($input: CreateUploadInput!) { createUpload(input: $input) { upload { id url } problem { message } } }`;
const COMPLETE = `mutation ($id: ID!) { completeUpload(id: $id) { upload { completedAt } problem { message } } }`;

interface UploadReport {
  readonly bytes: number;
  readonly seconds: number;
  /** Largest resident memory of the server during the upload, less that before. */
  readonly growthMb: number;
  /** Whether the server has found the digest that was announced. */
  readonly isWhole: boolean;
}

async function upload(sizeMib: number, nodeOptions: string[]): Promise<UploadReport> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-upload-'));
  const env = { DATA_DIR: path.join(folder, 'data'), MODEL_STORE: folder, WORKERS: '1' };
  const server = await startServer(env, { nodeOptions });
  const pid = server.process.pid as number;
  try {
    const created = await newUpload(server.url, sizeMib);
    // Forgets the peak of the start.
    await writeFile(`/proc/${pid}/clear_refs`, '5');
    const before = await processMemory(pid);
    const begun = performance.now();
    await send(created, sizeMib);
    const seconds = (performance.now() - begun) / 1_000;
    const after = await processMemory(pid);
    const { data } = await post(server.url, COMPLETE, { id: created.id });
    const isWhole = data.completeUpload.upload?.completedAt != null;
    const growthMb = ((after?.peakResidentBytes ?? Number.NaN) - (before?.residentBytes ?? Number.NaN)) / 1e6;
    return { bytes: sizeMib * MIB, seconds, growthMb, isWhole };
  } finally {
    await server.end('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
}

async function newUpload(server: string, sizeMib: number): Promise<{ id: string; url: URL }> {
  const input = { fileName: 'model.onnx', sizeBytes: sizeMib * MIB, sha256: digestOf(sizeMib) };
  const { upload: created, problem } = (await post(server, CREATE, { input })).data.createUpload;
  if (problem) throw new Error(problem.message);
  return { id: created.id, url: new URL(created.url, server) };
}

function digestOf(sizeMib: number): string {
  const hash = createHash('sha256');
  for (let i = 0; i < sizeMib; i++) hash.update(CHUNK);
  return hash.digest('hex');
}

async function send({ url }: { readonly url: URL }, sizeMib: number): Promise<void> {
  const headers = {
    'content-type': 'application/offset+octet-stream',
    'content-length': sizeMib * MIB,
    'upload-offset': 0,
    'tus-resumable': '1.0.0',
  };
  const patch = request(url, { method: 'PATCH', headers });
  const answered = once(patch, 'response');
  await writeAll(patch, sizeMib);
  const [response] = await answered;
  if (response.statusCode !== 204) throw new Error(`The upload was answered with ${response.statusCode}.`);
  response.resume();
}

async function writeAll(patch: ClientRequest, sizeMib: number): Promise<void> {
  for (let i = 0; i < sizeMib; i++) if (!patch.write(CHUNK)) await once(patch, 'drain');
  patch.end();
}

if (import.meta.main) {
  const [sizeMib = 2_048, ...nodeOptions] = process.argv.slice(2);
  const report = await upload(Number(sizeMib), nodeOptions);
  process.stdout.write(`${JSON.stringify(report)}\n`);
  if (!report.isWhole || report.growthMb > MAX_GROWTH_MB) process.exitCode = 1;
}
