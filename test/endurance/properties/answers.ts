/** The rules for every answer: typed, finite, and consistent with its input. */
import { Buffer } from 'node:buffer';
import type { Data } from '../../support/graphql-client.ts';
import type { Input, Subject } from './subjects.ts';

export type Verdict =
  | { readonly kind: 'answered' | 'invalid' | 'noNumber' | 'refusedByGraph' }
  | { readonly kind: 'complaint'; readonly complaint: string };

const isFine = null;
type Complaint = string | null;

/** The sum of 32-bit scores may exceed one by this much. */
const SLACK = 1e-6;

/** Judges one payload of `predict` or `predictMany`; `path` is that of its input. */
export function judge(subject: Subject, input: Input, { prediction, problem }: Data, path: readonly string[]): Verdict {
  if ((prediction === null) === (problem === null)) return complain('not exactly one of prediction and problem');
  if (problem) return judgeProblem(problem, input, path);
  const complaint = isFiniteAll(prediction.output)
    ? complaintAbout(subject, input, prediction.output)
    : 'a value that is not finite';
  return complaint
    ? complain(`${complaint}: ${JSON.stringify(prediction.output).slice(0, 600)}`)
    : { kind: 'answered' };
}

function complain(complaint: string): Verdict {
  return { kind: 'complaint', complaint };
}

/** Messages about a model that returned no finite number. With a caller's own tensors any message may appear. */
const NO_NUMBER = /not a finite number|not finite numbers|is (NaN|-?Infinity)$/;

function judgeProblem({ code, message, problems }: Data, input: Input, path: readonly string[]): Verdict {
  if (code === 'INFERENCE_FAILED') {
    if ('tensors' in input) return { kind: 'refusedByGraph' };
    return NO_NUMBER.test(message) ? { kind: 'noNumber' } : complain(`the model failed: ${message}`);
  }
  if (code !== 'INVALID_INPUT') return complain(`the problem ${code}: ${message}`);
  if (!problems?.length) return complain('InvalidInput without problems');
  const elsewhere = problems.find(({ path: own }: Data) => path.some((key, i) => own[i] !== key));
  if (elsewhere) return complain(`a path that is not the input's: ${elsewhere.path.join('.')}`);
  return { kind: 'invalid' };
}

/** JSON has no NaN; it is written as null. Tensors are returned as the graph computes them, and say where they are not finite. */
function isFiniteAll(value: Data): boolean {
  if (value?.__typename === 'Tensors') return true;
  if (Array.isArray(value)) return value.every((one) => one !== null && isFiniteAll(one));
  return typeof value !== 'object' || value === null || Object.values(value).every(isFiniteAll);
}

/** The type that answers a text, for tasks whose usual input is another. */
const TEXT_TYPES: Readonly<Record<string, string>> = {
  SENTENCE_SIMILARITY: 'Embedding',
  TEXT_RANKING: 'Classification',
};

function complaintAbout(subject: Subject, input: Input, output: Data): Complaint {
  const { __typename: type } = output;
  const ofText = TEXT_TYPES[subject.task] ?? subject.signature.outputType;
  const expected = 'similarity' in input ? 'Similarities' : 'ranking' in input ? 'Ranking' : ofText;
  if (type !== expected && !('tensors' in input && type === 'Tensors')) return `${type} instead of ${expected}`;
  switch (type) {
    case 'Classification':
      return aboutClassification(subject, input, output);
    case 'Regression':
      return Number.isFinite(output.value) ? isFine : 'a value that is not a number';
    case 'MultiClassification':
      return aboutTargets(subject, output);
    case 'Values':
      return aboutValues(subject, output);
    case 'Embedding':
      return aboutVector(subject, output);
    case 'Similarities':
      return aboutSimilarities(input, output);
    case 'Ranking':
      return aboutRanking(input, output);
    case 'Detections':
      return aboutDetections(subject, output);
    case 'Masks':
      return aboutMasks(subject, output);
    case 'Text':
      return aboutText(subject, output);
    case 'Tokens':
      return aboutTokens(subject, input, output);
    case 'Answer':
      return aboutAnswer(input, output);
    case 'Fillings':
      return aboutFillings(subject, input, output);
    default:
      return aboutTensors(subject, input, output);
  }
}

function aboutTargets({ signature }: Subject, { targets }: Data): Complaint {
  const names = (list: readonly Data[]) => list.map(({ name }) => name).join();
  if (names(targets) !== names(signature.targets)) return 'classes that are not those of the targets';
  const wrong = targets.find(({ classes }: Data) => !classes.every(({ score }: Data) => isProbability(score)));
  return wrong ? `a score of ${wrong.name} outside 0 to 1` : isFine;
}

function aboutValues({ signature }: Subject, { values }: Data): Complaint {
  const nameOf = ({ name, unit }: Data) => `${name} ${unit}`;
  if (values.map(nameOf).join() !== signature.targets.map(nameOf).join()) return 'values that are not the targets';
  return values.every(({ value }: Data) => Number.isFinite(value)) ? isFine : 'a value that is not a number';
}

function aboutClassification({ task, signature }: Subject, input: Input, { label, score, classes }: Data): Complaint {
  const labels: readonly string[] = input['zeroShot']?.labels ?? signature.labels;
  if (labels.length > 0 && !labels.includes(label)) return `the label ${label} is none`;
  if (classes.length === 0) return score === null ? isFine : 'a score without classes';
  const scores: number[] = classes.map((one: Data) => one.score);
  if (classes.length !== Math.min(100, labels.length)) return `${classes.length} classes for ${labels.length} labels`;
  if (classes.some((one: Data) => !labels.includes(one.label))) return 'a class that is not a label';
  if (score !== scores[0]) return 'a score that differs from that of the best class';
  if (!isDescending(scores)) return 'classes that are not sorted by score';
  if (!scores.every(isProbability)) return 'a score outside 0 to 1';
  const isShared =
    task === 'ZERO_SHOT_CLASSIFICATION'
      ? !input['zeroShot']?.multiLabel && labels.length > 1
      : task !== 'TEXT_RANKING' && !signature.multiLabel;
  const sum = scores.reduce((a, b) => a + b, 0);
  return isShared && labels.length <= 100 && Math.abs(sum - 1) > 1e-4 ? `the scores add up to ${sum}` : isFine;
}

function isDescending(scores: readonly number[]): boolean {
  return scores.every((score, i) => i === 0 || score <= (scores[i - 1] as number));
}

function isProbability(score: number): boolean {
  return score >= 0 && score <= 1 + SLACK;
}

function aboutVector({ isNormalized }: Subject, { dimensions, vector, vectorBase64 }: Data): Complaint {
  if (dimensions !== 3 || vector.length !== 3) return `${vector.length} numbers, ${dimensions} dimensions`;
  const bytes = Buffer.from(vectorBase64, 'base64');
  const same = new Float32Array(Uint8Array.from(bytes).buffer);
  if (same.length !== 3 || !same.every((value, i) => value === Math.fround(vector[i])))
    return 'base64 that differs from the vector';
  const length = Math.hypot(...vector);
  return isNormalized && length !== 0 && Math.abs(length - 1) > 1e-5 ? `a vector of length ${length}` : isFine;
}

function aboutSimilarities(input: Input, { scores }: Data): Complaint {
  const { length } = input['similarity'].sentences;
  if (scores.length !== length) return `${scores.length} cosines for ${length} sentences`;
  return scores.every((score: number) => score >= -1 && score <= 1) ? isFine : 'a cosine outside −1 to 1';
}

function aboutRanking(input: Input, { ranked }: Data): Complaint {
  const { documents } = input['ranking'];
  if (ranked.length !== documents.length) return `${ranked.length} items for ${documents.length} documents`;
  if (ranked.some(({ index, text }: Data) => documents[index] !== text)) return 'a text that is not that of its index';
  if (new Set(ranked.map(({ index }: Data) => index)).size !== documents.length) return 'an index that appears twice';
  const scores: number[] = ranked.map(({ score }: Data) => score);
  if (!scores.every(isProbability)) return 'a score outside 0 to 1';
  return isDescending(scores) ? isFine : 'documents that are not sorted by score';
}

function aboutMasks({ signature }: Subject, { width, height, masks }: Data): Complaint {
  const counts: number[] = masks.map(({ pixelCount }: Data) => pixelCount);
  if (counts.reduce((sum, count) => sum + count, 0) > width * height) return 'masks that overlap';
  return masks.every(({ label }: Data) => signature.labels.includes(label)) ? isFine : 'an unknown label';
}

function aboutText({ signature }: Subject, { text, textScore }: Data): Complaint {
  if (Array.from<string>(text).some((one) => !signature.labels.includes(one))) return 'an unknown character';
  if (text === '') return textScore === null ? isFine : 'a score without text';
  return isProbability(textScore) ? isFine : `the score ${textScore}`;
}

function aboutDetections({ signature }: Subject, { items, all }: Data): Complaint {
  if (items.length > all.length || all.length > 300) return `${items.length} boxes of ${all.length}`;
  for (const { label, score, box } of items) {
    if (!signature.labels.includes(label)) return `the label ${label} is none`;
    if (!isProbability(score)) return `the score ${score}`;
    if (!Object.values(box).every(Number.isFinite)) return 'an edge that is not a number';
    if (box.xmin > box.xmax || box.ymin > box.ymax) return 'a box whose minimum exceeds its maximum';
  }
  return isDescending(all.map(({ score }: Data) => score)) ? isFine : 'boxes that are not sorted by score';
}

/** The words that the hand-made model labels; each labeled span must be one of them. */
const NAMES: ReadonlySet<string> = new Set(['paris', 'berlin', 'new', 'york']);

/** Normalizes as BERT does: no control characters, no accents, lower case. */
function readByBert(word: string): string {
  return word
    .normalize('NFD')
    .replaceAll(/[\p{Mn}\p{C}\ufffd]/gu, '')
    .toLowerCase();
}

function aboutTokens({ ref, signature }: Subject, input: Input, output: Data): Complaint {
  const text: string = input['text'];
  for (const how of ['none', 'simple', 'first', 'average', 'max']) {
    const known = how === 'none' ? signature.labels : signature.labels.map((label) => label.replace(/^[BI]-/, ''));
    let before = 0;
    for (const { label, score, word, start, end } of output[how]) {
      if (label === 'O' || !known.includes(label)) return `the label ${label} is none (${how})`;
      if (!isProbability(score)) return `the score ${score} (${how})`;
      const complaint = aboutSpan(text, { word, start, end });
      if (complaint) return `${complaint} (${how})`;
      if (start < before) return `spans are not in the order of the text (${how})`;
      before = start;
    }
  }
  const odd = ref === 'tiny-ner' && output.none.find(({ word }: Data) => !NAMES.has(readByBert(word)));
  return odd ? `the label is not that of "${odd.word}"` : isFine;
}

function aboutSpan(text: string, { word, start, end }: { word: string; start: number; end: number }): Complaint {
  if (start < 0 || start > end || end > text.length) return `a span from ${start} to ${end} of ${text.length}`;
  return word === text.slice(start, end) ? isFine : `a word that differs from the text from ${start} to ${end}`;
}

function aboutAnswer(input: Input, { text, answerScore, start, end }: Data): Complaint {
  if (answerScore !== null && !isProbability(answerScore)) return `the score ${answerScore}`;
  if (text === null) return start === null && end === null ? isFine : 'positions without an answer';
  return aboutSpan(input['question'].context, { word: text, start, end });
}

function aboutFillings({ signature }: Subject, input: Input, { fillings }: Data): Complaint {
  const scores: number[] = fillings.map(({ score }: Data) => score);
  if (scores.length === 0 || scores.length > 20) return `${scores.length} fillings`;
  if (!isDescending(scores) || !scores.every(isProbability)) return 'fillings that are not sorted by score';
  if (new Set(fillings.map(({ token }: Data) => token)).size !== scores.length) return 'a token twice';
  const [before = '', after = ''] = input['text'].split(signature.maskToken);
  const odd = fillings.find(({ sequence }: Data) => !sequence.startsWith(before) || !sequence.endsWith(after));
  return odd ? 'a sequence that differs from the text' : isFine;
}

/** An echo graph returns its input. */
function aboutTensors({ ref, signature }: Subject, input: Input, { tensors }: Data): Complaint {
  for (const { name, datatype, shape, data, base64 } of tensors) {
    const spec = signature.outputs.find((output) => output.name === name);
    if (spec?.datatype !== datatype) return `the output ${name} of ${datatype}`;
    const count = shape.reduce((product: number, size: number) => product * size, 1);
    if (data.length !== count) return `${data.length} values in the shape ${shape}`;
    if ((base64 === null) !== (datatype === 'BYTES')) return 'base64 for strings, or none for numbers';
  }
  const [sent] = input['tensors'] ?? [];
  if (!ref.startsWith('echo-') || !sent?.data) return isFine;
  const [{ data, shape }] = tensors;
  const same = data.every((value: Data, i: number) => isSame(value, sent.data[i]));
  return same && shape.join() === sent.shape.join() ? isFine : 'an echo that differs from its input';
}

function isSame(answered: Data, sent: Data): boolean {
  if (typeof sent === 'number') return Number(answered) === sent;
  return typeof sent === 'boolean' ? Number(answered) === Number(sent) : String(answered) === sent;
}

/** Sums of floats may differ in their last digits when the batch differs. */
const TOLERANCE = 1e-4;

/** The path at which two answers differ; null if they are the same. */
export function differenceOf(a: Data, b: Data, path = ''): string | null {
  if (path.endsWith('ase64')) return null;
  if (typeof a === 'number' && typeof b === 'number')
    return Math.abs(a - b) <= TOLERANCE * Math.max(1, Math.abs(a)) ? null : `${path}: ${a} and ${b}`;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null)
    return a === b ? null : `${path}: ${JSON.stringify(a)} and ${JSON.stringify(b)}`;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  for (const key of keys) {
    const difference = differenceOf(a[key], b[key], `${path}.${key}`);
    if (difference) return difference;
  }
  return null;
}
