/** Compares what a server answers with what the source framework answers. Keys are those of `expect` in golden.json. */
import type { Data } from '../support/graphql-client.ts';

/** The framework's answer to one input: an object as in golden.json, or a number, or a list of numbers. */
export type Right = number | readonly number[] | Readonly<Record<string, Data>>;

export interface Comparison {
  /** What is wrong; null if the answer is right. */
  readonly problem: string | null;
  /** Whether only the label differs, and the input is so near to a tie that rounding decides. */
  readonly isTie: boolean;
  /** Largest difference of numbers, relative to the right one if that is above 1; without the edges of boxes. */
  readonly largest: number;
}

const BOX_PIXELS = 1;

/** `output` is a GraphQL answer with the fields of `OUTPUT`, or null if there is a problem instead. */
export function compareAnswer(
  output: Data,
  right: Right,
  { tolerance, nearTie }: { readonly tolerance: number; readonly nearTie: boolean },
): Comparison {
  const compared = new Compared(tolerance);
  if (!output) return { problem: 'there is no answer', isTie: false, largest: 0 };
  const { aggregation = 'SIMPLE', ...wanted } = expectOf(right, output);
  const aggregated = { ...output, tokens: output[aggregation.toLowerCase()] };
  for (const [key, expected] of Object.entries(wanted)) compared.compareKey(key, aggregated, expected);
  const { problems, labelProblems, largest } = compared;
  const isTie = problems.length === 0 && labelProblems.length > 0 && nearTie;
  return { problem: isTie ? null : ([...problems, ...labelProblems][0] ?? null), isTie, largest };
}

function expectOf(right: Right, output: Data): Readonly<Record<string, Data>> {
  if (typeof right === 'number') return { value: right };
  if (!Array.isArray(right)) return right as Readonly<Record<string, Data>>;
  return output.vector ? { vector: right } : { values: right };
}

class Compared {
  readonly problems: string[] = [];
  readonly labelProblems: string[] = [];
  largest = 0;
  readonly #tolerance: number;

  constructor(tolerance: number) {
    this.#tolerance = tolerance;
  }

  compareKey(key: string, output: Data, expected: Data): void {
    if (key === 'label') this.#label('label', output.label, expected);
    else if (key === 'scores' && expected === null) this.#same('the score', output.score ?? null, null);
    else if (key === 'scores') this.#scores(output.classes ?? [], expected);
    else if (key === 'targets') this.#targets(output.targets ?? [], expected);
    else if (key === 'value') this.#number('value', output.value, expected);
    else if (key === 'values') this.#values(output.values ?? [], expected);
    else if (key === 'vector') this.#numbers('vector', output.vector ?? [], expected);
    else if (key === 'similarities') this.#numbers('scores', output.scores ?? [], expected);
    else if (key === 'ranking') this.#ranking(output.ranked ?? [], expected);
    else if (key === 'boxes') this.#boxes(output.items ?? [], expected);
    else if (key === 'masks') this.#same('masks', masksOf(output.masks ?? []), masksOf(expected));
    else if (key === 'tokens') this.#tokens(output.tokens ?? [], expected);
    else if (key === 'answer') this.#answer(output, expected);
    else if (key === 'fillings') this.#fillings(output.fillings ?? [], expected);
    else if (key === 'text') this.#same('text', output.text, expected);
    else if (key === 'tensors') this.#tensors(output.tensors ?? [], expected);
    else this.problems.push(`expected.json: right has the key "${key}", which is not compared`);
  }

  #same(what: string, value: Data, expected: Data): void {
    const [given, wanted] = [value, expected].map((one) => JSON.stringify(one));
    if (given !== wanted) this.problems.push(`${what} is ${given?.slice(0, 120)}, right is ${wanted?.slice(0, 120)}`);
  }

  #label(what: string, value: Data, expected: Data): void {
    if (expected !== null && value !== expected) this.labelProblems.push(`${what} is ${value}, right is ${expected}`);
  }

  #number(what: string, value: Data, expected: number): void {
    const difference = Math.abs(value - expected) / Math.max(1, Math.abs(expected));
    if (difference > this.largest) this.largest = difference;
    if (value == null || !(difference <= this.#tolerance))
      this.problems.push(`${what} is ${value}, right is ${expected}`);
  }

  #numbers(what: string, values: readonly Data[], expected: readonly number[]): void {
    this.#same(`the size of ${what}`, values.length, expected.length);
    for (const [i, number] of expected.entries()) this.#number(`${what}[${i}]`, values[i], number);
  }

  #scores(classes: readonly Data[], expected: Readonly<Record<string, number>>): void {
    for (const [label, score] of Object.entries(expected))
      this.#number(`the score of ${label}`, classes.find((one) => one.label === label)?.score, score);
  }

  #targets(targets: readonly Data[], expected: Readonly<Record<string, Data>>): void {
    for (const [name, { label = null, scores = {} }] of Object.entries(expected)) {
      const target = targets.find((one) => one.name === name);
      this.#label(`the label of ${name}`, target?.label, label);
      this.#scores(target?.classes ?? [], scores);
    }
  }

  #values(values: readonly Data[], expected: readonly number[] | Readonly<Record<string, number>>): void {
    const given = values.map(({ value }) => value);
    if (Array.isArray(expected)) this.#numbers('values', given, expected);
    else
      for (const [name, number] of Object.entries(expected))
        this.#number(name, values.find((one) => one.name === name)?.value, number as number);
  }

  #ranking(items: readonly Data[], expected: readonly number[]): void {
    for (const [index, score] of expected.entries())
      this.#number(`the score of document ${index}`, items.find((one) => one.index === index)?.score, score);
  }

  #boxes(items: readonly Data[], expected: readonly Data[]): void {
    this.#same('the number of boxes', items.length, expected.length);
    // Boxes with nearly the same score may come in either order.
    const others = [...items];
    for (const [i, { label, score, box }] of expected.entries()) {
      const isSame = (item: Data) =>
        item.label === label &&
        Math.abs(item.score - score) <= this.#tolerance &&
        Object.entries<number>(box).every(([edge, pixel]) => Math.abs(item.box[edge] - pixel) <= BOX_PIXELS);
      const found = others.findIndex(isSame);
      if (found < 0)
        this.problems.push(`box ${i}, ${label} at ${JSON.stringify(box)}, is not among ${JSON.stringify(items[i])}`);
      else this.#number(`the score of box ${i}`, others.splice(found, 1)[0].score, score);
    }
  }

  #tokens(items: readonly Data[], expected: readonly Data[]): void {
    this.#same('the spans', items.map(placeOf), expected.map(placeOf));
    for (const [i, { score }] of expected.entries())
      if (score !== undefined) this.#number(`the score of span ${i}`, items[i]?.score, score);
  }

  #answer({ text, start, end, answerScore }: Data, expected: Data): void {
    const { score, ...place } = expected ?? { text: null, start: null, end: null };
    this.#same('the answer', { text, start, end }, place);
    if (score !== undefined) this.#number('score', answerScore, score);
  }

  #fillings(items: readonly Data[], expected: readonly Data[]): void {
    for (const [i, { token, score }] of expected.entries()) {
      this.#same(`token ${i}`, items[i]?.token, token);
      this.#number(`the score of token ${i}`, items[i]?.score, score);
    }
  }

  #tensors(tensors: readonly Data[], expected: Readonly<Record<string, readonly Data[]>>): void {
    for (const [name, values] of Object.entries(expected)) {
      const tensor = tensors.find((one) => one.name === name);
      const data = tensor && withNonFinite(tensor);
      if (!data) {
        this.problems.push(`there is no tensor "${name}"`);
        continue;
      }
      if (values.length !== data.length) this.#same(`the size of ${name}`, data.length, values.length);
      for (const [i, value] of values.entries())
        if (typeof value === 'number') this.#number(`${name}[${i}]`, data[i], value);
        else this.#same(`${name}[${i}]`, data[i], value);
    }
  }
}

const NON_FINITE: Readonly<Record<string, string>> = { INFINITY: 'Infinity', NEGATIVE_INFINITY: '-Infinity' };

/** The values of a tensor as in golden.json: NaN is null, and infinities have names. */
function withNonFinite({ data, nonFinite = [] }: Data): Data[] {
  const values = [...data];
  for (const { kind, indices } of nonFinite) for (const i of indices) values[i] = NON_FINITE[kind] ?? null;
  return values;
}

function placeOf({ label, start, end }: Data): Data {
  return { label, start, end };
}

function masksOf(items: readonly Data[]): Data {
  return items.map(({ label, runLengths }) => ({ label, runLengths }));
}
