/** The routes that plots are read from, by signed or sealed URLs: for `<img>`, which sends no key. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Quota } from '../access/quota.js';
import { type PlotQuery, readPlotUrl } from '../evaluation/plot-urls.js';
import type { Plots } from '../evaluation/plots.js';
import { MAX_DATA_CHARACTERS, type SealedPlots } from '../evaluation/sealed-plots.js';
import type { Theme } from '../plots/colors.js';
import { TooManyPlotsError } from '../plots/plotter.js';
import { sendPicture } from './opened-picture.js';
import { RefusedRequest, refusal } from './refusals.js';
import { RETRY_AFTER_MS } from './response-budget.js';

interface PlotRequest {
  Params: { evaluation: string; name: string };
  Querystring: PlotQuery;
}

interface SealedRequest {
  Params: { name: string };
  Querystring: { data?: unknown };
}

export interface PlotRouteParts {
  readonly plots: Pick<Plots, 'ofUrl'>;
  readonly sealedPlots: Pick<SealedPlots, 'ofUrl'>;
  /** The quota of the key that a URL was made for; null if there is none. */
  readonly quotaOf: (reader: string) => Quota | null;
}

export function registerPlots(http: FastifyInstance, parts: PlotRouteParts): void {
  http.route<PlotRequest>({
    method: ['GET', 'HEAD'],
    url: '/plots/:evaluation/:name',
    config: { policy: 'public' },
    handler: (request, reply) => answer(parts, request, reply),
  });
  http.route<SealedRequest>({
    method: ['GET', 'HEAD'],
    url: '/plots/sealed/:name',
    config: { policy: 'public' },
    handler: (request, reply) => answerSealed(parts, request, reply),
  });
}

async function answer(
  { plots, quotaOf }: PlotRouteParts,
  request: FastifyRequest<PlotRequest>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const url = readPlotUrl(request.params, request.query, Date.now());
  const plot = url && (await plots.ofUrl(url).catch(throwAsRefusal));
  if (!url || !plot) throw unknownPlot();
  return sendPicture(plot, quotaOf(url.reader), request, reply);
}

async function answerSealed(
  { sealedPlots, quotaOf }: PlotRouteParts,
  request: FastifyRequest<SealedRequest>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const [, theme] = /^(light|dark)\.svg$/.exec(request.params.name) ?? [];
  const { data } = request.query;
  if (theme === undefined || typeof data !== 'string' || data.length > MAX_DATA_CHARACTERS) throw unknownPlot();
  const found = await sealedPlots.ofUrl(data, theme as Theme).catch(throwAsRefusal);
  if (!found) throw unknownPlot();
  return sendPicture(found.plot, quotaOf(found.reader), request, reply);
}

function throwAsRefusal(error: unknown): never {
  if (!(error instanceof TooManyPlotsError)) throw error;
  const message = 'Too many plots are being drawn. Try again in 1 s.';
  throw new RefusedRequest(503, refusal('OVERLOADED', message, { retryable: true }), RETRY_AFTER_MS / 1_000);
}

/** The same for all reasons, so that a URL that no longer works tells nothing about its evaluation. */
function unknownPlot(): RefusedRequest {
  const message =
    'There is no such plot, its URL has expired, or the key that asked for the URL is no longer accepted. Ask for a new URL.';
  return new RefusedRequest(404, refusal('PLOT_NOT_FOUND', message));
}
