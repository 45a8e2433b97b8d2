/** Asks a server for the answers to all inputs of a case, and says how the case ended. */
import { type Data, post } from '../support/graphql-client.ts';
import { OUTPUT, SPAN } from '../support/output-selection.ts';
import { type Case, WITH_GOLDENS } from './cases.ts';
import { compareAnswer, type Right } from './compare.ts';

/**
 * `right`: all answers are. `refused`: the import failed, and its reason names what to change. `unnamed`: it names nothing.
 * `converter`: READY without goldens, and wrong as the graph itself is; with goldens it fails. `wrong`: all else.
 */
export type Ending = 'right' | 'refused' | 'unnamed' | 'converter' | 'wrong';

export interface Judgment {
  readonly case: Case;
  readonly ending: Ending;
  /** Whether the case was expected to end so. */
  readonly isExpected: boolean;
  /** The refusal, or the first problem. */
  readonly reason: string | null;
  readonly ties: number;
  readonly largest: number;
}

/** What a reason must name: a file of the owner, a key of one, or how to export. */
export const NAMED = /\w+\.(?:yaml|json|onnx|md)\b|the ONNX file|the folder name|\bexport\b/;

const VERSION = `query ($ref: VersionRef!) { version(ref: $ref) { state stateReason signature { multiLabel } serving { maxBatch } } }`;
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { prediction { ${OUTPUT} } problem { code message ... on InvalidInput { problems { path message expected } } } } } ${SPAN}`;

export async function judge(url: string, one: Case): Promise<Judgment> {
  const { state, stateReason, signature, serving } = await versionOf(url, one.model);
  const judged = { case: one, reason: stateReason, ties: 0, largest: 0 };
  if (state !== 'READY') {
    const words = [one.words ?? []].flat().filter((text) => text !== '');
    const isNamed = words.length > 0 && words.every((text) => stateReason.includes(text));
    const isExpected = isNamed || (one.kind === 'ready' && one.rawDiffers);
    return { ...judged, ending: NAMED.test(stateReason) ? 'refused' : 'unnamed', isExpected };
  }
  const { problem, ties, largest } = await compareAll(url, one);
  if (one.kind === 'refuse') return { ...judged, ending: 'wrong', isExpected: false, reason: 'READY, not refused' };
  const isMultiLabel = one.multiLabel ?? signature.multiLabel;
  const unexpected = isMultiLabel === signature.multiLabel ? null : `multiLabel is ${signature.multiLabel}`;
  const wrong = problem ?? unexpected ?? (one.batches && serving.maxBatch === 1 ? 'inputs run one at a time' : null);
  if (wrong === null) return { ...judged, ending: 'right', isExpected: true, ties, largest };
  const goldens = one.rawDiffers ? await versionOf(url, one.model + WITH_GOLDENS) : null;
  const isCaught = goldens?.state === 'FAILED' && /golden\.json: case \d+ (?:differs|failed)/.test(goldens.stateReason);
  const reason = isCaught || !goldens ? wrong : `${wrong}; with golden cases ${goldens.state} ${goldens.stateReason}`;
  return { ...judged, ending: isCaught ? 'converter' : 'wrong', isExpected: isCaught, reason, ties, largest };
}

async function versionOf(url: string, model: string): Promise<Data> {
  const { data, errors } = await post(url, VERSION, { ref: `${model}:1` });
  const [error] = errors ?? [];
  return data?.version ?? { state: 'MISSING', stateReason: error?.message ?? 'there is no such version' };
}

async function compareAll(url: string, one: Case): Promise<{ problem: string | null; ties: number; largest: number }> {
  const found = { problem: null as string | null, ties: 0, largest: 0 };
  for (const [i, right] of one.right.entries()) {
    const input = { model: one.model, input: one.inputs[i], record: false };
    const { data, errors } = await post(url, PREDICT, { input });
    if (isRefusal(right)) {
      found.problem ??= problemOfRefusal(data?.predict?.problem, right.problem);
      continue;
    }
    const answered = data?.predict?.problem?.message ?? errors?.[0]?.message ?? null;
    const { problem, isTie, largest } = compareAnswer(data?.predict?.prediction?.output, right, {
      tolerance: one.tolerance,
      nearTie: one.ties.includes(i),
    });
    if (problem !== null) found.problem ??= `input ${i}: ${answered ?? problem}`;
    found.ties += Number(isTie);
    found.largest = Math.max(found.largest, largest);
  }
  return found;
}

/** The service must not answer this input, and its problem must have these words. */
function isRefusal(right: Right): right is { readonly problem: readonly string[] } {
  return typeof right === 'object' && 'problem' in right;
}

function problemOfRefusal(problem: Data, words: readonly string[]): string | null {
  if (!problem) return 'it is answered, not refused';
  const text = JSON.stringify(problem);
  const missing = words.find((word) => !text.includes(word));
  return missing === undefined ? null : `the problem does not say "${missing}": ${text.slice(0, 300)}`;
}
