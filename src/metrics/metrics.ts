/**
 * Everything that `/metrics` shows. The parts of the server count without prom-client, in plain numbers; this file names
 * what they have counted, and reads it when it is scraped.
 */
import { setImmediate } from 'node:timers/promises';
import { Registry } from 'prom-client';
import type { Buckets } from '../counting/buckets.js';
import { quotaRefusals, refusals } from '../counting/refusals.js';
import type { Tally } from '../counting/tally.js';
import type { Engine } from '../engine/engine.js';
import type { CountersOfVersion } from '../engine/version-counters.js';
import type { GroupCommit } from '../storage/group-commit.js';
import { EventLoopDelay } from './event-loop.js';
import { histogramSamples, type Reading, register, type Sample } from './readings.js';

export interface Measured {
  readonly engine: Pick<Engine, 'counters' | 'restarts' | 'queueDepth' | 'provider' | 'workers'>;
  readonly commits: Pick<GroupCommit, 'commitMs' | 'failedCommits' | 'rows' | 'waiting'>;
  readonly responses: { readonly byClass: ArrayLike<number>; readonly durationMs: Buckets };
  readonly bodies: { readonly bytesInFlight: number };
  readonly answers: { readonly bytes: number };
}

export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
  stop(): void;
}

/** The versions beyond `MAX_COUNTED_VERSIONS`. The reference of a version has a colon, so no version is called this. */
const OTHER_VERSIONS = 'other';
const MS = 1_000;

export function createMetrics(measured: Measured): Metrics {
  const registry = new Registry();
  const eventLoop = new EventLoopDelay();
  const readings = [
    ...ofVersions(measured.engine),
    ...ofEngine(measured.engine),
    ...ofHttp(measured),
    ...ofRecorder(measured.commits),
    ...ofEventLoop(eventLoop),
  ];
  for (const reading of readings) register(registry, reading);
  return {
    contentType: registry.contentType,
    text: () => inTurns(registry, readings),
    stop: () => eventLoop.stop(),
  };
}

/** One metric in each turn of the event loop, because all of them together take milliseconds. */
async function inTurns(registry: Registry, readings: readonly Reading[]): Promise<string> {
  const texts: string[] = [];
  for (const { name } of readings) {
    texts.push(await registry.getSingleMetricAsString(name));
    await setImmediate();
  }
  return `${texts.join('\n\n')}\n`;
}

/** With the labels `version` and `provider`. */
function ofVersions(engine: Measured['engine']): Reading[] {
  const labelsOf = ({ ref, provider }: CountersOfVersion) => ({
    version: ref ?? OTHER_VERSIONS,
    provider: provider ?? engine.provider,
  });
  const histogram = (
    name: string,
    help: string,
    unit: number,
    of: (version: CountersOfVersion) => Buckets,
  ): Reading => ({
    name,
    help,
    type: 'histogram',
    read: () =>
      engine.counters.all.flatMap((version) => [...histogramSamples(name, labelsOf(version), of(version), unit)]),
  });
  const counter = (name: string, help: string, of: (version: CountersOfVersion) => number): Reading => ({
    name,
    help,
    type: 'counter',
    read: () => engine.counters.all.map((version) => ({ labels: labelsOf(version), value: of(version) })),
  });
  return [
    histogram(
      'modelgraph_prediction_seconds',
      'From the acceptance of an input until the engine has its answer.',
      MS,
      (v) => v.totalMs,
    ),
    histogram(
      'modelgraph_queue_wait_seconds',
      'From the acceptance of an answered input until its batch was sent to a worker.',
      MS,
      (v) => v.queueMs,
    ),
    histogram('modelgraph_preprocessing_seconds', 'Preprocessing of a batch.', MS, (v) => v.preprocessMs),
    histogram('modelgraph_inference_seconds', 'Runs of the graph for a batch.', MS, (v) => v.inferMs),
    histogram('modelgraph_postprocessing_seconds', 'Postprocessing of a batch.', MS, (v) => v.postprocessMs),
    histogram('modelgraph_batch_rows', 'Rows of a batch.', 1, (v) => v.batchRows),
    {
      name: 'modelgraph_failed_inputs_total',
      help: 'Inputs that the engine refused or that failed, by the code of the error; DISCONNECTED if the client was gone.',
      type: 'counter',
      read: () =>
        engine.counters.all.flatMap((version) =>
          samplesOf(version.failedInputs, 'code').map(({ labels, value }) => ({
            labels: { ...labelsOf(version), ...labels },
            value,
          })),
        ),
    },
    counter('modelgraph_loads_total', 'Loads of a version into a worker.', (v) => v.loads),
    counter('modelgraph_failed_loads_total', 'Loads of a version that failed.', (v) => v.failedLoads),
    counter('modelgraph_evictions_total', 'Versions that left a worker to make room for another.', (v) => v.evictions),
  ];
}

function ofEngine(engine: Measured['engine']): Reading[] {
  return [
    {
      name: 'modelgraph_queued_rows',
      help: 'Rows that wait for a worker, of all versions.',
      type: 'gauge',
      read: () => [{ value: engine.queueDepth }],
    },
    {
      name: 'modelgraph_ready_workers',
      help: 'Workers that accept batches, without the spare and the quarantine worker.',
      type: 'gauge',
      read: () => [{ value: engine.workers.filter(({ purpose, isReady }) => purpose === 'pool' && isReady).length }],
    },
    {
      name: 'modelgraph_worker_restarts_total',
      help: 'Inference processes that have ended, by cause; "stopped": because they were old, large or idle.',
      type: 'counter',
      read: () => samplesOf(engine.restarts, 'cause'),
    },
  ];
}

function ofHttp({ responses, bodies, answers }: Measured): Reading[] {
  const duration = 'modelgraph_http_request_seconds';
  return [
    {
      name: duration,
      help: 'From the headers of a request until its response was handed to the operating system.',
      type: 'histogram',
      read: () => histogramSamples(duration, {}, responses.durationMs, MS),
    },
    {
      name: 'modelgraph_http_requests_total',
      help: 'Answered requests, by the class of their status.',
      type: 'counter',
      read: () => Array.from(responses.byClass, (value, i) => ({ labels: { status: `${i + 1}xx` }, value })),
    },
    {
      name: 'modelgraph_refusals_total',
      help: 'Inputs, fields and requests that were refused or failed, by the code that the client received.',
      type: 'counter',
      read: () => samplesOf(refusals, 'code'),
    },
    {
      name: 'modelgraph_quota_refusals_total',
      help: 'Inputs, fields and requests that a quota of a key has refused, by the quota.',
      type: 'counter',
      read: () => samplesOf(quotaRefusals, 'quota'),
    },
    {
      name: 'modelgraph_bytes_in_flight',
      help: 'Bytes of bodies that are not answered, and of answers that are not sent.',
      type: 'gauge',
      read: () => [
        { labels: { kind: 'bodies' }, value: bodies.bytesInFlight },
        { labels: { kind: 'answers' }, value: answers.bytes },
      ],
    },
  ];
}

function ofRecorder(commits: Measured['commits']): Reading[] {
  const duration = 'modelgraph_recorder_commit_seconds';
  return [
    {
      name: duration,
      help: 'Commits of recorded predictions, failed ones included.',
      type: 'histogram',
      read: () => histogramSamples(duration, {}, commits.commitMs, MS),
    },
    {
      name: 'modelgraph_recorder_failed_commits_total',
      help: 'Commits that failed.',
      type: 'counter',
      read: () => [{ value: commits.failedCommits }],
    },
    {
      name: 'modelgraph_recorder_rows_total',
      help: 'Rows that were committed, of all tables.',
      type: 'counter',
      read: () => [{ value: commits.rows }],
    },
    {
      name: 'modelgraph_recorder_queue',
      help: 'Predictions that wait for the commit that is being written.',
      type: 'gauge',
      read: () => [{ value: commits.waiting }],
    },
  ];
}

function ofEventLoop(eventLoop: EventLoopDelay): Reading[] {
  return [
    {
      name: 'modelgraph_event_loop_delay_seconds',
      help: 'Delay of the event loop since the last scrape; quantile 1 is the longest.',
      type: 'gauge',
      read: () =>
        eventLoop.readMs().map(({ quantile, ms }) => ({ labels: { quantile: String(quantile) }, value: ms / MS })),
    },
    {
      name: 'modelgraph_event_loop_busy_seconds_total',
      help: 'Time that the event loop was busy.',
      type: 'counter',
      read: () => [{ value: eventLoop.busyMs / MS }],
    },
  ];
}

function samplesOf(tally: Tally, label: string): Sample[] {
  return Array.from(tally.entries, ([name, value]) => ({ labels: { [label]: name }, value }));
}
