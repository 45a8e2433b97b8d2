/**
 * Follows each output of a graph back to the operator that decides what its values mean: whether scores are
 * probabilities, and which classes a label is chosen from. Operators that only copy, cast, reshape or select values are
 * passed. The graph is not run.
 */
import { constantOf, type Node, nodeOf, tensorOf } from './graph-nodes.js';
import { fieldsOf, fieldText, numbersOf, stringField } from './protobuf.js';
import { classLabelsOf } from './zip-map.js';

/**
 * What the scores in an output are. `softmax`: probabilities that add up to 1. `sigmoid`: probabilities that are
 * independent of each other. `probability`: probabilities of either kind. `raw`: not probabilities.
 */
export type ScoreKind = 'softmax' | 'sigmoid' | 'probability' | 'raw';

export interface OutputOrigin {
  /** The deciding operator, such as "Softmax" or "LinearClassifier". */
  readonly operator: string;
  /** Null if the operators do not tell. */
  readonly scores: ScoreKind | null;
  /** The classes that the values are chosen from, in the order of the graph's scores; null if unknown. */
  readonly classes: readonly string[] | null;
  /** The classes of each part, if the output joins several with a Concat; null otherwise. */
  readonly columns: readonly (readonly string[] | null)[] | null;
  /** Whether the values are indices of classes: the result of an ArgMax, an ArgMin or a TopK. */
  readonly isIndex: boolean;
  /** Whether the values say on which side of a threshold the probability of a class is. */
  readonly isThreshold: boolean;
}

/** Longer chains are not followed, and neither are lists of more classes. */
const MAX_STEPS = 64;
const MAX_CLASSES = 10_000;
const INT32 = 6;
const INT64 = 7;
const STRING = 8;

/** Operators that copy values from their first input, possibly in another shape or type. */
const COPIES = new Set([
  'Identity',
  'Not',
  'Cast',
  'Reshape',
  'Squeeze',
  'Unsqueeze',
  'Flatten',
  'Transpose',
  'Dropout',
]);
/** Operators that copy some of the values of their first input. */
const SELECTIONS = new Set(['Slice', 'Gather', 'GatherElements', 'ArrayFeatureExtractor', 'Split']);
/** Operators whose result is the score of the best class, whichever it is. */
const BEST_SCORES = new Set(['ReduceMax', 'TopK', 'Max']);
const COMPARISONS = new Set(['Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual']);
const ACTIVATIONS: Readonly<Record<string, ScoreKind>> = {
  Softmax: 'softmax',
  Sigmoid: 'sigmoid',
  HardSigmoid: 'sigmoid',
  LogSoftmax: 'raw',
};
const CLASSIFIERS = new Set(['LinearClassifier', 'SVMClassifier', 'TreeEnsembleClassifier']);

/** The origin of each output of the graph, by the output's name. @throws MalformedProtobufError */
export function outputOriginsOf(graph: Uint8Array): Record<string, OutputOrigin> {
  const parts = new GraphParts(graph);
  return Object.fromEntries(parts.outputs.map((name) => [name, parts.originOf(name, 0)]));
}

/** The origin of any value of the graph. @throws MalformedProtobufError */
export function originOf(graph: Uint8Array, name: string): OutputOrigin {
  return new GraphParts(graph).originOf(name, 0);
}

class GraphParts {
  readonly outputs: string[] = [];
  readonly #nodes = new Map<string, Node>();
  readonly #initializers = new Map<string, Uint8Array>();
  readonly #origins = new Map<string, OutputOrigin>();

  constructor(graph: Uint8Array) {
    for (const { number, bytes } of fieldsOf(graph)) {
      if (number === 12) this.outputs.push(stringField(bytes, 1));
      else if (number === 5) this.#initializers.set(stringField(bytes, 8), bytes);
      if (number !== 1) continue;
      const node = nodeOf(bytes);
      for (const output of node.outputs) this.#nodes.set(output, node);
    }
  }

  originOf(name: string, step: number): OutputOrigin {
    const known = this.#origins.get(name);
    if (known) return known;
    const node = this.#nodes.get(name);
    const origin = {
      operator: node?.op ?? '',
      scores: null,
      classes: null,
      columns: null,
      isIndex: false,
      isThreshold: false,
    };
    if (!node || step === MAX_STEPS) return origin;
    // Remembered before it is found, so that a cycle ends here.
    this.#origins.set(name, origin);
    const found = this.#findOrigin(name, node, origin, step);
    this.#origins.set(name, found);
    return found;
  }

  #findOrigin(name: string, node: Node, origin: OutputOrigin, step: number): OutputOrigin {
    const [first = '', second = ''] = node.inputs;
    const inputOrigin = () => this.originOf(first, step + 1);
    if (COPIES.has(node.op)) return inputOrigin();
    if (SELECTIONS.has(node.op)) {
      const list = this.#initializers.get(first) ?? tensorOf(this.#constant(first));
      if (list) return { ...this.originOf(second, step + 1), classes: listOf(list), isIndex: false };
      return selected(inputOrigin());
    }
    if (node.op === 'ArgMax') {
      const isOfVotes = this.#areVotes(this.#nodes.get(first));
      return { ...origin, isIndex: true, operator: isOfVotes ? 'OneVsOneClassifier' : node.op };
    }
    if (node.op === 'ArgMin' || (node.op === 'TopK' && name === node.outputs[1])) return { ...origin, isIndex: true };
    if (COMPARISONS.has(node.op)) return this.#comparison(node, origin, step);
    if (node.op === 'Where') return { ...origin, isThreshold: inputOrigin().isThreshold };
    if (this.#areVotes(node) || this.#areHardVotes(node)) return { ...origin, scores: 'raw' };
    if (node.op === 'Concat') {
      const columns = node.inputs.map((input) => this.originOf(input, step + 1).classes);
      return { ...origin, columns, scores: this.#isNegated(node) ? 'raw' : this.#commonKind(node, step) };
    }
    if (node.op === 'Div' && this.#isSumOf(second, first)) return { ...origin, scores: shares(inputOrigin().scores) };
    if (node.op === 'Normalizer') return { ...origin, scores: normalized(node, inputOrigin().scores) };
    if (node.op === 'LabelEncoder') return { ...origin, classes: valuesOf(node) };
    if (CLASSIFIERS.has(node.op)) {
      const classes = classesOf(node);
      return name === node.outputs[0] ? { ...origin, classes } : { ...origin, classes, scores: classifierKind(node) };
    }
    return { ...origin, scores: ACTIVATIONS[node.op] ?? null };
  }

  /** The score of the best class, whichever it is, does not decide on a class. */
  #comparison({ inputs }: Node, origin: OutputOrigin, step: number): OutputOrigin {
    const compared = inputs.map((input) => this.originOf(input, step + 1));
    const best = compared.find(({ operator }) => BEST_SCORES.has(operator));
    return best ? { ...origin, operator: best.operator } : { ...origin, isThreshold: compared.some(isProbability) };
  }

  /** Whether a node adds votes between pairs of classes and a fraction of their scores, as OneVsOneClassifier and SVC do. */
  #areVotes(node: Node | undefined): boolean {
    const steps = [
      ['Div', 1],
      ['Mul', 1],
      ['Add', 0],
      ['Abs', 0],
    ] as const;
    let at = node?.op === 'Add' ? node : undefined;
    for (const [op, input] of steps) {
      at = this.#nodes.get(at?.inputs[input] ?? '');
      if (at?.op !== op) return false;
    }
    return true;
  }

  /** Whether a node counts the classes that several models answer, as VotingClassifier(voting="hard") does. */
  #areHardVotes({ op, inputs }: Node): boolean {
    const steps = ['Mul', 'Where', 'Equal', 'ArgMax'];
    const isVote = (input: string) => {
      let at: Node | undefined;
      for (const step of steps) {
        at = this.#nodes.get(at ? (at.inputs[0] ?? '') : input);
        if (at?.op !== step) return false;
      }
      return true;
    };
    return op === 'Sum' && inputs.every(isVote);
  }

  /** Whether a node joins −x and x, as skl2onnx does with the decision function of a Perceptron of two classes. */
  #isNegated({ inputs: [negative = '', positive] }: Node): boolean {
    const node = this.#nodes.get(negative);
    if (node?.op === 'Neg') return node.inputs[0] === positive;
    const [value, factor = ''] = node?.op === 'Mul' ? node.inputs : [];
    const tensor = this.#initializers.get(factor) ?? tensorOf(this.#constant(factor));
    return value !== undefined && value === positive && tensor != null && constantOf(tensor).values.join() === '-1';
  }

  #isSumOf(sum: string, scores: string): boolean {
    const node = this.#nodes.get(sum);
    return node?.op === 'ReduceSum' && node.inputs[0] === scores;
  }

  #constant(name: string): Uint8Array | undefined {
    const node = this.#nodes.get(name);
    return node?.op === 'Constant' ? node.attributes.get('value') : undefined;
  }

  /** The kind that all inputs have in common; any raw scores make all of them raw. */
  #commonKind({ inputs }: Node, step: number): ScoreKind | null {
    const kinds = new Set(inputs.map((input) => this.originOf(input, step + 1).scores));
    if (kinds.has('raw')) return 'raw';
    if (kinds.has(null)) return null;
    return kinds.size === 1 && kinds.has('sigmoid') ? 'sigmoid' : 'probability';
  }
}

/** What scores are after they were divided by their sum. */
function shares(scores: ScoreKind | null): ScoreKind | null {
  return scores === null || scores === 'raw' ? scores : 'softmax';
}

function isProbability({ scores }: OutputOrigin): boolean {
  return scores !== null && scores !== 'raw';
}

/** Some of the scores that add up to 1 need not do so. */
function selected(origin: OutputOrigin): OutputOrigin {
  return origin.scores === 'softmax' ? { ...origin, scores: 'probability' } : origin;
}

function normalized({ attributes }: Node, scores: ScoreKind | null): ScoreKind | null {
  const norm = attributes.get('norm');
  const isSum = norm !== undefined && stringField(norm, 4) === 'L1';
  return isSum && scores !== null && scores !== 'raw' ? 'softmax' : null;
}

/** By the activation that the classifier itself applies. Votes of trees may or may not be probabilities. */
function classifierKind({ op, attributes }: Node): ScoreKind | null {
  const transform = attributes.get('post_transform');
  const kind = transform === undefined ? 'NONE' : stringField(transform, 4);
  if (kind === 'SOFTMAX' || kind === 'SOFTMAX_ZERO') return 'softmax';
  if (op === 'SVMClassifier' && attributes.has('prob_a')) return kind === 'NONE' ? 'softmax' : null;
  if (kind === 'LOGISTIC') return 'probability';
  return kind === 'NONE' && op !== 'TreeEnsembleClassifier' ? 'raw' : null;
}

function classesOf({ attributes }: Node): string[] | null {
  for (const [name, attribute] of attributes) {
    const labels = name.startsWith('classlabels_') ? classLabelsOf(attribute) : [];
    if (labels.length > 0) return labels.length > MAX_CLASSES ? null : labels;
  }
  return null;
}

/** The values that a LabelEncoder maps to, which follow the order of its keys. */
function valuesOf({ attributes }: Node): string[] | null {
  for (const name of ['values_strings', 'values_int64s']) {
    const attribute = attributes.get(name);
    if (attribute) return classLabelsOf(attribute).slice(0, MAX_CLASSES);
  }
  return null;
}

/** The strings or integers of a tensor; null for other types. */
function listOf(tensor: Uint8Array): string[] | null {
  const type = [...fieldsOf(tensor)].find(({ number }) => number === 2)?.value ?? 0;
  const found: string[] = [];
  for (const field of fieldsOf(tensor)) {
    if (field.number === 6 && type === STRING) found.push(fieldText(field));
    else if ((field.number === 5 && type === INT32) || (field.number === 7 && type === INT64))
      for (const value of numbersOf(field)) found.push(String(value));
    else if (field.number === 9) for (const value of rawIntegers(field.bytes, type)) found.push(value);
    if (found.length > MAX_CLASSES) return null;
  }
  return found.length > 0 ? found : null;
}

function rawIntegers({ buffer, byteOffset, byteLength }: Uint8Array, type: number): string[] {
  const size = type === INT64 ? 8 : type === INT32 ? 4 : 0;
  if (size === 0 || byteLength / size > MAX_CLASSES) return [];
  const view = new DataView(buffer, byteOffset, byteLength);
  return Array.from({ length: Math.floor(byteLength / size) }, (_, i) =>
    String(size === 8 ? view.getBigInt64(i * 8, true) : view.getInt32(i * 4, true)),
  );
}
