/** The parts that the folders of all tiny models share. */
import { encodeModel, type GraphSpec, type Initializer, type NodeSpec, type ValueInfo } from '../onnx.ts';

/** The files of a model, by their paths. */
export type Folder = Readonly<Record<string, string | Buffer>>;

/** Since opset 13 the axes of these operators are inputs. */
const AXES: readonly Initializer[] = [
  { name: 'axis_1', shape: [1], data: [1] },
  { name: 'axis_2', shape: [1], data: [2] },
  { name: 'axes_1_2', shape: [2], data: [1, 2] },
  { name: 'axes_2_3', shape: [2], data: [2, 3] },
  { name: 'axes_1_2_3', shape: [3], data: [1, 2, 3] },
];

export function encode(graph: GraphSpec): Buffer {
  const used = new Set(graph.nodes.flatMap(({ inputs }) => inputs));
  return encodeModel({ ...graph, ints: AXES.filter(({ name }) => used.has(name)) }, { opset: 17 });
}

export function node(
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: NodeSpec['attributes'] = [],
): NodeSpec {
  return { op, inputs, outputs: [output], attributes };
}

export function keepDimensions(keep: boolean): NonNullable<NodeSpec['attributes']> {
  return [{ name: 'keepdims', int: Number(keep) }];
}

export function floats(name: string, shape: readonly (number | string)[]): ValueInfo {
  return { name, type: 'FP32', shape };
}

export function labels(...words: readonly string[]): Record<string, string> {
  return Object.fromEntries(words.entries());
}

/** A model card with front matter, a title and a sentence. */
export function card(tag?: string): string {
  const lines = ['license: apache-2.0', 'library_name: transformers', ...(tag ? [`pipeline_tag: ${tag}`] : [])];
  return `---\n${lines.join('\n')}\n---\n\n# Tiny\n\nWeights set by hand.\n`;
}

export function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}
