/** What a graph tells about the images it takes. */
import type { Node } from './graph-nodes.js';
import type { GraphView } from './graph-view.js';
import { fieldsOf, stringField } from './protobuf.js';

/** What Ultralytics writes into the metadata, since release 8. */
export interface UltralyticsFacts {
  /** "detect", "classify" and others. */
  readonly task: string;
  /** Size of the input in pixels. */
  readonly width: number;
  readonly height: number;
  /** Whether the output holds boxes and scores of all classes, without suppression; null if the metadata do not tell. */
  readonly isPlainDetector: boolean | null;
}

export interface ImageFacts {
  /** Inputs whose levels the graph itself brings from 0 … 255 to about 0 … 1 or −1 … 1. */
  readonly rescaledInputs: readonly string[];
  readonly ultralytics: UltralyticsFacts | null;
}

/** @throws MalformedProtobufError */
export function imageFactsOf(model: Uint8Array, view: GraphView): ImageFacts {
  return { rescaledInputs: rescaledInputsOf(view), ultralytics: ultralyticsOf(model) };
}

/** Operators before the first computation that leave the levels as they are. */
const COPIES = new Set(['Identity', 'Cast', 'Transpose']);

function rescaledInputsOf(view: GraphView): string[] {
  /** The input whose levels a value holds, by the value's name. */
  const levels = new Map<string, string>();
  const inputs = new Set<string>();
  for (const node of view.nodes)
    for (const [i, name] of node.inputs.slice(0, 2).entries()) {
      const input = levels.get(name) ?? (view.isComputed(name) ? undefined : name);
      if (input === undefined) continue;
      if (i === 0 && COPIES.has(node.op)) for (const output of node.outputs) levels.set(output, input);
      else if (rescales(node, view.scalar(node.inputs[1 - i]))) inputs.add(input);
    }
  return [...inputs];
}

/** The largest level and half of it, by which levels are divided. */
const DIVISORS = [255, 127.5];

function rescales({ op }: Node, constant: number | undefined): boolean {
  if (constant === undefined) return false;
  if (op === 'Mul') return DIVISORS.some((divisor) => Math.abs(constant * divisor - 1) < 0.01);
  return op === 'Div' && DIVISORS.some((divisor) => Math.abs(constant / divisor - 1) < 0.01);
}

/** A longer value of the metadata is not read. */
const MAX_VALUE_BYTES = 10_000;
const SIZE = /^\[(\d{1,5}), (\d{1,5})\]$/;

function ultralyticsOf(model: Uint8Array): UltralyticsFacts | null {
  const found = new Map<string, string>();
  for (const { number, bytes } of fieldsOf(model))
    if (number === 14 && bytes.length <= MAX_VALUE_BYTES) found.set(stringField(bytes, 1), stringField(bytes, 2));
  const size = SIZE.exec(found.get('imgsz') ?? '');
  const task = found.get('task');
  if (found.get('author') !== 'Ultralytics' || !size || task === undefined) return null;
  const isPlain = task === 'detect' && found.get('head') === 'Detect' && found.get('end2end') === 'False';
  const hasSuppression = /'nms': True/.test(found.get('args') ?? '');
  return {
    task,
    width: Number(size[2]),
    height: Number(size[1]),
    isPlainDetector: found.has('head') && found.has('end2end') ? isPlain && !hasSuppression : null,
  };
}
