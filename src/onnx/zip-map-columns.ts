/**
 * Finds the scores of skl2onnx's option zipmap='columns', which returns one output for each class: a slice of the tensor of
 * scores, named "s" and the class for a string, or "i" and the class for a number.
 */
import { constantOf, intsOf, type Node, nodeOf } from './graph-nodes.js';
import { fieldsOf, stringField } from './protobuf.js';

export interface ScoreColumns {
  /** The classes in the order of the scores. */
  readonly labels: readonly string[];
  /** Name of the tensor with all scores. */
  readonly output: string;
}

/** Null if the graph has no such outputs. @throws MalformedProtobufError */
export function scoreColumns(graph: Uint8Array): ScoreColumns | null {
  const parts = partsOf(graph);
  const columns: string[] = [];
  let output: string | undefined;
  for (const name of parts.outputs) {
    const slice = sliceOf(name, parts);
    if (!slice) continue;
    if (slice.start !== columns.length || slice.tensor !== (output ?? slice.tensor)) return null;
    output = slice.tensor;
    columns.push(name);
  }
  const isOfWords = columns.every((name) => name.startsWith('s'));
  const isOfNumbers = columns.every((name) => /^i-?\d+$/.test(name));
  if (output === undefined || columns.length < 2 || !(isOfWords || isOfNumbers)) return null;
  // Another output, such as the label, must be left.
  if (columns.length === parts.outputs.length) return null;
  return { labels: columns.map((name) => name.slice(1)), output };
}

interface Parts {
  readonly outputs: readonly string[];
  /** By the name of what they return. */
  readonly nodes: ReadonlyMap<string, Node>;
  readonly initializers: ReadonlyMap<string, Uint8Array>;
}

function partsOf(graph: Uint8Array): Parts {
  const parts = {
    outputs: [] as string[],
    nodes: new Map<string, Node>(),
    initializers: new Map<string, Uint8Array>(),
  };
  for (const { number, bytes } of fieldsOf(graph)) {
    if (number === 12) parts.outputs.push(stringField(bytes, 1));
    else if (number === 5) parts.initializers.set(stringField(bytes, 8), bytes);
    else if (number === 1 && ['Slice', 'Reshape'].includes(stringField(bytes, 4))) {
      const node = nodeOf(bytes);
      parts.nodes.set(node.outputs[0] ?? '', node);
    }
  }
  return parts;
}

/** The tensor that an output is one column of, and which. */
function sliceOf(output: string, { nodes, initializers }: Parts): { tensor: string; start: number | undefined } | null {
  const reshape = nodes.get(output);
  const slice = reshape?.op === 'Reshape' ? nodes.get(reshape.inputs[0] ?? '') : undefined;
  if (slice?.op !== 'Slice') return null;
  const [tensor = '', starts = ''] = slice.inputs;
  const constant = initializers.get(starts);
  // Starts are an attribute before opset 10.
  const [start] = constant ? constantOf(constant).values : intsOf(slice.attributes.get('starts'));
  return { tensor, start };
}
