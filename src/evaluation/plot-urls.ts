/**
 * Signed URLs of plots of evaluations, so that `<img>` needs no key. Anyone who has one can read the plot for 5 to 10 minutes, as
 * long as the key that it was made for is accepted, and its account may see the evaluation.
 */
import type { Principal } from '../access/principal.js';
import { type Viewer, visibleValues } from '../access/visibility.js';
import type { Theme } from '../plots/colors.js';
import { expiresFor, isSameSignature, MAX_SECONDS, type Reader, readerOf } from '../prediction/picture-urls.js';

const PLOT_KINDS = ['CONFUSION_MATRIX', 'ROC', 'PRECISION_RECALL', 'CALIBRATION', 'IMPORTANCE'] as const;
export type PlotKindName = (typeof PLOT_KINDS)[number];

export interface PlotAddress {
  readonly evaluationId: string;
  readonly kind: PlotKindName;
  readonly theme: Theme;
}

export interface PlotUrl extends PlotAddress {
  /** Whose evaluations its reader may see; null for all. */
  readonly account: string | null;
  /** In seconds since 1970. */
  readonly expires: number;
  readonly reader: Reader;
  readonly signature: string;
}

/** The parameters of the query, as they were sent. */
export interface PlotQuery {
  readonly account?: unknown;
  readonly expires?: unknown;
  readonly reader?: unknown;
  readonly signature?: unknown;
}

/** A digest that nobody else can make. */
type Sign = (text: string) => Promise<string>;

const NAME = /^([a-z-]{1,40})\.(light|dark)\.svg$/;

/** A path and a query. */
export async function plotUrlOf(address: PlotAddress, principal: Principal, sign: Sign): Promise<string> {
  const account = visibleValues(principal)?.account ?? null;
  const url = { ...address, account, expires: expiresFor(principal, Date.now()), reader: readerOf(principal) };
  const query = new URLSearchParams({
    ...(account !== null && { account }),
    expires: String(url.expires),
    reader: url.reader,
    signature: await signatureOf(url, sign),
  });
  return `/plots/${address.evaluationId}/${nameOf(address)}?${query}`;
}

export async function isSigned(url: PlotUrl, sign: Sign): Promise<boolean> {
  return isSameSignature(url.signature, await signatureOf(url, sign));
}

/** Null if it cannot be a URL that was made, or has expired. */
export function readPlotUrl(
  { evaluation, name }: { readonly evaluation: string; readonly name: string },
  { account = null, expires: seconds, reader, signature }: PlotQuery,
  now: number,
): PlotUrl | null {
  const [, file, theme] = NAME.exec(name) ?? [];
  const kind = PLOT_KINDS.find((one) => fileOf(one) === file);
  if (!kind || (account !== null && typeof account !== 'string')) return null;
  if (typeof reader !== 'string' || typeof signature !== 'string') return null;
  const expires = Number(seconds);
  if (!Number.isSafeInteger(expires) || expires >= MAX_SECONDS || expires * 1_000 <= now) return null;
  return { evaluationId: evaluation, kind, theme: theme as Theme, account, expires, reader, signature };
}

export function viewerOf({ account }: Pick<PlotUrl, 'account'>): Viewer {
  return account === null ? { id: '', roles: ['admin'] } : { id: account, roles: [] };
}

function nameOf({ kind, theme }: PlotAddress): string {
  return `${fileOf(kind)}.${theme}.svg`;
}

function fileOf(kind: PlotKindName): string {
  return kind.toLowerCase().replace('_', '-');
}

function signatureOf({ evaluationId, kind, theme, account, expires, reader }: Omit<PlotUrl, 'signature'>, sign: Sign) {
  return sign(JSON.stringify([evaluationId, kind, theme, account, expires, reader]));
}
