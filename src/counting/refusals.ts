/**
 * How often this process has told clients that something was refused or has failed, by code: problems in payloads, errors
 * beside the data, and refusals before GraphQL. Of the process and not of a server, because each of them is made by a
 * function that knows no server.
 */
import { QUOTAS, type QuotaName } from '../errors.js';
import { Tally } from './tally.js';

export const refusals = new Tally();

/** Of these, whatever a quota of a key has refused, by the quota. */
export const quotaRefusals = new Tally<QuotaName>(QUOTAS);
