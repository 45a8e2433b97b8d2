/**
 * What an ONNX file says of itself and onnxruntime-node does not pass on: producer, opset, number of parameters.
 *
 * Reads only the few fields it needs, one level at a time, so that nesting cannot overflow the stack.
 * Field numbers are those of onnx.proto (ModelProto, GraphProto, TensorProto, OperatorSetIdProto).
 */
import { PbfReader } from 'pbf';

export interface FileFacts {
  readonly producer: string | null;
  readonly opset: number | null;
  readonly parameterCount: number;
}

export function readGraphFile(bytes: Uint8Array): FileFacts {
  const model = { producerName: '', producerVersion: '', opset: null as number | null, parameterCount: 0 };
  new PbfReader(bytes).readFields((field, _result, pbf) => {
    if (field === 2) model.producerName = pbf.readString();
    else if (field === 3) model.producerVersion = pbf.readString();
    else if (field === 7) model.parameterCount = countParameters(pbf.readBytes());
    else if (field === 8) model.opset = readMainOpset(pbf.readBytes()) ?? model.opset;
  }, null);
  const producer = `${model.producerName} ${model.producerVersion}`.trim();
  return { producer: producer || null, opset: model.opset, parameterCount: model.parameterCount };
}

function readMainOpset(bytes: Uint8Array): number | null {
  const opset = { domain: '', version: null as number | null };
  new PbfReader(bytes).readFields((field, _result, pbf) => {
    if (field === 1) opset.domain = pbf.readString();
    else if (field === 2) opset.version = pbf.readVarint();
  }, null);
  return opset.domain === '' || opset.domain === 'ai.onnx' ? opset.version : null;
}

/** Elements of all float initializers: what is commonly called the number of parameters. */
function countParameters(graph: Uint8Array): number {
  let count = 0;
  new PbfReader(graph).readFields((field, _result, pbf) => {
    if (field === 5) count += countElements(pbf.readBytes());
  }, null);
  return count;
}

const FLOAT_TYPES = new Set([1, 10, 11, 16]);

function countElements(tensor: Uint8Array): number {
  const found = { elements: 1, isFloat: false };
  new PbfReader(tensor).readFields((field, _result, pbf) => {
    if (field === 1) {
      for (const size of pbf.readPackedVarint()) found.elements *= size;
    } else if (field === 2) found.isFloat = FLOAT_TYPES.has(pbf.readVarint());
  }, null);
  return found.isFloat ? found.elements : 0;
}
