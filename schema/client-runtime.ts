/** What `npm run client` puts below the types that it writes. It needs `fetch` only. */

interface ClassScore<Label> {
  label: Label;
  score: number;
}

interface Classes<Label> {
  label: Label;
  /** Probability, from 0 to 1; null if the model has none. */
  score: number | null;
  /** The three best, best first. */
  classes: ClassScore<Label>[];
}

export interface Classification<Label extends string = string> extends Classes<Label> {
  __typename: 'Classification';
}

export interface Target<Name extends string = string, Label extends string = string> extends Classes<Label> {
  name: Name;
}

export interface MultiClassification<T extends Target = Target> {
  __typename: 'MultiClassification';
  targets: T[];
}

export interface Regression {
  __typename: 'Regression';
  value: number;
  unit: string | null;
}

export interface Values<Name extends string = string> {
  __typename: 'Values';
  values: { name: Name; value: number; unit: string | null }[];
}

export interface Embedding {
  __typename: 'Embedding';
  dimensions: number;
  vector: number[];
}

export interface Similarities {
  __typename: 'Similarities';
  scores: number[];
}

export interface Ranking {
  __typename: 'Ranking';
  /** Best first; `index` is the position in the input. */
  items: { index: number; text: string; score: number }[];
}

export interface Detections<Label extends string = string> {
  __typename: 'Detections';
  /** Boxes in pixels of the image that was sent. */
  items: { label: Label; score: number; box: { xmin: number; ymin: number; xmax: number; ymax: number } }[];
}

export interface Masks<Label extends string = string> {
  __typename: 'Masks';
  width: number;
  height: number;
  items: { label: Label; pixelCount: number; runLengths: unknown }[];
}

export interface Tokens {
  __typename: 'Tokens';
  items: { label: string; score: number; word: string; start: number; end: number }[];
}

export interface Answer {
  __typename: 'Answer';
  /** Null if the context does not answer the question. */
  text: string | null;
  score: number | null;
  start: number | null;
  end: number | null;
}

export interface Fillings {
  __typename: 'Fillings';
  items: { text: string; score: number; sequence: string }[];
}

export interface Text {
  __typename: 'Text';
  text: string | null;
  score: number | null;
}

export interface Tensors {
  __typename: 'Tensors';
  tensors: { name: string; datatype: string; shape: number[]; data: unknown }[];
}

export type Output =
  | Classification
  | MultiClassification
  | Regression
  | Values
  | Embedding
  | Similarities
  | Ranking
  | Detections
  | Masks
  | Tokens
  | Answer
  | Fillings
  | Text
  | Tensors;

export interface Entry {
  input: object;
  output: Output;
}

export interface InputProblem {
  path: string[];
  message: string;
  expected: string | null;
  received: string | null;
}

export interface Prediction<O extends Output = Output> {
  id: string;
  /** Whether part of the input was left out because it is too long. */
  truncated: boolean;
  output: O;
}

export interface PredictOptions {
  deadlineMs?: number;
  idempotencyKey?: string;
  record?: boolean;
  signal?: AbortSignal;
}

/** A `problem` of the payload, or the first entry of `errors`. */
export class ModelgraphError extends Error {
  override readonly name = 'ModelgraphError';
  readonly code: string;
  readonly retryable: boolean;
  /** Null if unknown. */
  readonly retryAfterMs: number | null;
  /** What is wrong with the input; empty unless `code` is INVALID_INPUT. */
  readonly problems: readonly InputProblem[];

  constructor(problem: {
    code: string;
    message: string;
    retryable?: boolean;
    retryAfterMs?: number | null;
    problems?: InputProblem[];
  }) {
    super(problem.message);
    this.code = problem.code;
    this.retryable = problem.retryable ?? false;
    this.retryAfterMs = problem.retryAfterMs ?? null;
    this.problems = problem.problems ?? [];
  }
}

/** Replaced by `schema/operations/14-any-answer.graphql`. */
const DOCUMENT = '';

export class ModelgraphClient<Models extends { [Name in keyof Models]: Entry }> {
  readonly #url: string;
  readonly #headers: Record<string, string>;

  /** `url`: that of the API, such as "http://127.0.0.1:4000/graphql". `key`: an API key; in web pages, a publishable one. */
  constructor({ url, key }: { url: string; key?: string }) {
    this.#url = url;
    this.#headers = { 'content-type': 'application/json', ...(key ? { authorization: `Bearer ${key}` } : {}) };
  }

  /** Runs a model. @throws ModelgraphError if the server says why it could not, and what `fetch` throws */
  async predict<Name extends keyof Models & string>(
    model: Name,
    input: Models[Name]['input'],
    { signal, ...options }: PredictOptions = {},
  ): Promise<Prediction<Models[Name]['output']>> {
    const body = JSON.stringify({ query: DOCUMENT, variables: { input: { model, input, ...options } } });
    const response = await fetch(this.#url, { method: 'POST', headers: this.#headers, body, signal: signal ?? null });
    const { data, errors } = await response.json();
    const [error] = errors ?? [];
    if (error)
      throw new ModelgraphError({ ...error.extensions, code: error.extensions?.code ?? '', message: error.message });
    if (data.predict.problem) throw new ModelgraphError(data.predict.problem);
    return data.predict.prediction;
  }
}
