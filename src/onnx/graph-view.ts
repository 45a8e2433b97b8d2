/** What rules about graphs of known converters look at. */
import { constantOf, inputOf, intsOf, type Node, nodeOf, tensorOf } from './graph-nodes.js';
import { originOf, type ScoreKind } from './output-origins.js';
import { fieldsOf, numbersOf, stringField } from './protobuf.js';

/** Operators that copy the values of their first input. */
const COPIES = new Set(['Identity', 'Cast', 'Reshape', 'Flatten']);
const CLASSIFIERS = new Set(['LinearClassifier', 'SVMClassifier']);
const MAX_STEPS = 16;

/** What a converter writes wrongly. */
export interface Fault {
  readonly isIn: (view: GraphView) => boolean;
  readonly reason: string;
}

export class GraphView {
  readonly nodes: readonly Node[];
  /** The loss function by which CatBoost has trained the model; '' for other models. */
  readonly catBoostLoss: string;
  readonly #byOutput = new Map<string, Node>();
  readonly #initializers = new Map<string, Uint8Array>();
  readonly #inputs = new Map<string, Uint8Array>();
  readonly #graph: Uint8Array;

  constructor(model: Uint8Array) {
    let graph: Uint8Array = new Uint8Array();
    let loss = '';
    for (const { number, bytes } of fieldsOf(model)) {
      if (number === 7) graph = bytes;
      else if (number === 14 && stringField(bytes, 1) === 'params')
        loss = /"loss_function":\{"type":"(\w+)"/.exec(stringField(bytes, 2))?.[1] ?? '';
    }
    const nodes: Node[] = [];
    for (const { number, bytes } of fieldsOf(graph)) {
      if (number === 5) this.#initializers.set(stringField(bytes, 8), bytes);
      else if (number === 1) nodes.push(nodeOf(bytes));
      else if (number === 11) this.#inputs.set(stringField(bytes, 1), bytes);
    }
    for (const node of nodes) for (const output of node.outputs) this.#byOutput.set(output, node);
    [this.#graph, this.nodes, this.catBoostLoss] = [graph, nodes, loss];
  }

  some(op: string, test: (node: Node) => boolean): boolean {
    return this.nodes.some((node) => node.op === op && test(node));
  }

  /** The operator that computes a value, where copies are passed. */
  producer(name: string | undefined): Node | undefined {
    return this.#byOutput.get(this.sourceOf(name ?? ''));
  }

  /** The value that a value is a copy of; the value itself if it is none. */
  sourceOf(name: string): string {
    let source = name;
    for (let step = 0; step < MAX_STEPS; step++) {
      const node = this.#byOutput.get(source);
      if (!node || !COPIES.has(node.op)) break;
      source = node.inputs[0] ?? '';
    }
    return source;
  }

  /** The number of columns of an input of the graph, 1 for a list; undefined if it is open, or the value is no input. */
  width(name: string): number | undefined {
    const input = this.#inputs.get(name);
    if (!input) return undefined;
    const { shape } = inputOf(input);
    return shape.length < 2 ? 1 : shape[1] || undefined;
  }

  /** The last of the operators that compute a value from their first inputs, if they are these, the value's own first. */
  chain(name: string | undefined, ops: readonly string[]): Node | undefined {
    let [node, input] = [undefined as Node | undefined, name];
    for (const op of ops) {
      node = this.producer(input);
      if (node?.op !== op) return undefined;
      input = node.inputs[0];
    }
    return node;
  }

  /** Whether a value is not an input: an operator computes it, or it is a constant. */
  isComputed(name: string): boolean {
    return this.#byOutput.has(name) || this.#initializers.has(name);
  }

  isConstant(name: string | undefined): boolean {
    return this.#initializers.has(name ?? '') || this.#byOutput.get(name ?? '')?.op === 'Constant';
  }

  /** The value of a constant with one element. */
  scalar(name: string | undefined): number | undefined {
    return this.values(name)[0];
  }

  /** The values of a constant that has few; empty for others. */
  values(name: string | undefined): readonly number[] {
    const constant = this.#byOutput.get(name ?? '');
    const tensor =
      this.#initializers.get(name ?? '') ??
      (constant?.op === 'Constant' ? tensorOf(constant.attributes.get('value')) : null);
    return tensor ? constantOf(tensor).values : [];
  }

  int(node: Node, attribute: string, byDefault: number): number {
    return intsOf(node.attributes.get(attribute))[0] ?? byDefault;
  }

  ints({ attributes }: Node, attribute: string): number[] {
    return intsOf(attributes.get(attribute));
  }

  /** The floats of an attribute; empty if there is none. */
  floats({ attributes }: Node, attribute: string): Float32Array {
    const list = attributes.get(attribute);
    const parts = list ? [...fieldsOf(list)].filter(({ number }) => number === 7) : [];
    const bytes = Buffer.concat(parts.map((part) => part.bytes));
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  }

  /** The number of floats, integers or strings of an attribute; 0 if there is none. */
  length(node: Node, attribute: string): number {
    const ofStrings = stringsOf(node.attributes.get(attribute)).length;
    return ofStrings || this.floats(node, attribute).length || this.ints(node, attribute).length;
  }

  /** The sizes of a constant; empty if it is none. */
  sizes(name: string | undefined): readonly number[] {
    const tensor = this.#initializers.get(name ?? '');
    return tensor ? constantOf(tensor).dims : [];
  }

  text(node: Node, attribute: string): string {
    const found = node.attributes.get(attribute);
    return found ? stringField(found, 4) : '';
  }

  /** The first strings of an attribute. */
  texts({ attributes }: Node, attribute: string, count: number): string[] {
    return stringsOf(attributes.get(attribute))
      .slice(0, count)
      .map((bytes) => Buffer.from(bytes).toString());
  }

  classCount({ attributes }: Node): number {
    const list = attributes.get('classlabels_ints') ?? attributes.get('classlabels_int64s');
    if (list) return intsOf(list).length;
    return stringsOf(attributes.get('classlabels_strings')).length;
  }

  /** Whether a list of strings has letters outside ASCII. */
  hasAccents({ attributes }: Node, attribute: string): boolean {
    return stringsOf(attributes.get(attribute)).some((text) => text.some((byte) => byte >= 0x80));
  }

  /** Whether a list of strings has this one. */
  hasText({ attributes }: Node, attribute: string, text: string): boolean {
    const bytes = new TextEncoder().encode(text);
    return stringsOf(attributes.get(attribute)).some((each) => Buffer.compare(each, bytes) === 0);
  }

  treeCount({ attributes }: Node): number {
    const ids = attributes.get('nodes_treeids');
    let last = -1;
    for (const field of ids ? fieldsOf(ids) : [])
      if (field.number === 8) for (const id of numbersOf(field)) last = Math.max(last, id);
    return last + 1;
  }

  /** Whether a value has 1 − score beside a score of this kind. */
  isComplemented(name: string | undefined, kind: ScoreKind): boolean {
    const joined = this.producer(name);
    const [first, score = ''] = joined?.op === 'Concat' ? joined.inputs : [];
    const complement = this.producer(first);
    if (joined?.inputs.length !== 2 || complement?.op !== 'Sub' || complement.inputs[1] !== score) return false;
    return this.scalar(complement.inputs[0]) === 1 && originOf(this.#graph, score).scores === kind;
  }

  /** Whether a value has the decision function of a class alone. */
  isOneRawScore(name: string): boolean {
    const column = this.producer(name);
    if (column?.op !== 'ArrayFeatureExtractor' || this.values(column.inputs[1]).length !== 1) return false;
    return originOf(this.#graph, column.inputs[0] ?? '').scores === 'raw';
  }

  /** Whether a value is the decision function of a classifier of two classes with its negative before it. */
  isPairOfRawScores(name: string): boolean {
    const node = this.producer(name);
    if (!node) return false;
    // A support vector machine, the sign of which is turned.
    const turned = this.chain(name, ['Mul', 'SVMClassifier']);
    if (turned) return this.classCount(turned) === 2 && !turned.attributes.has('prob_a');
    const isJoined = node.op === 'Concat' && this.nodes.some(({ domain }) => domain === 'ai.onnx.ml');
    const columns = isJoined ? node.inputs.length : CLASSIFIERS.has(node.op) ? this.classCount(node) : 0;
    return columns === 2 && originOf(this.#graph, name).scores === 'raw';
  }

  /** Whether a value joins scores of support vector machines of two classes each. */
  isOfSupportVectors(name: string | undefined): boolean {
    const joined = this.producer(name);
    if (joined?.op !== 'Concat') return false;
    return joined.inputs.every((input) => {
      const part = this.producer(input);
      if (part?.op === 'Sub') return this.scalar(part.inputs[0]) === 1;
      if (part?.op === 'Concat') return this.isOfSupportVectors(input);
      return part?.op === 'Slice' && this.producer(part.inputs[0])?.op === 'SVMClassifier';
    });
  }
}

/** The strings of an attribute, in UTF-8. */
function stringsOf(attribute: Uint8Array | undefined): Uint8Array[] {
  const fields = attribute ? [...fieldsOf(attribute)] : [];
  return fields.filter(({ number }) => number === 9).map(({ bytes }) => bytes);
}
