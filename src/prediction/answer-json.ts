/** Answers as JSON text and back. The numbers of a tensor travel as base64: exact, and smaller than digits. */

import { DATATYPES, type NumericArray, type TensorArray, type TensorData } from '../tasks/datatypes.js';
import type { Answer } from '../tasks/input.js';

export function encodeAnswer(answer: Answer): string {
  if (answer.kind === 'embedding') return JSON.stringify({ ...answer, vector: base64Of(answer.vector) });
  if (answer.kind !== 'tensors') return JSON.stringify(answer);
  const tensors = answer.tensors.map(({ data, ...tensor }) =>
    Array.isArray(data) ? { ...tensor, data } : { ...tensor, base64: base64Of(data) },
  );
  return JSON.stringify({ ...answer, tensors });
}

export function decodeAnswer(json: string): Answer {
  const answer = JSON.parse(json) as Answer;
  if (answer.kind === 'embedding')
    return { ...answer, vector: decode('FP32', answer.vector as unknown as string) as Float32Array };
  if (answer.kind !== 'tensors') return answer;
  const tensors = answer.tensors as readonly (TensorData & { base64?: string })[];
  return {
    ...answer,
    tensors: tensors.map(({ base64, ...tensor }) =>
      // A tensor without elements has empty base64, strings have none.
      base64 === undefined ? tensor : { ...tensor, data: decode(tensor.datatype, base64) },
    ),
  };
}

function base64Of({ buffer, byteOffset, byteLength }: NumericArray): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64');
}

function decode(datatype: string, base64: string): TensorArray {
  const bytes = Buffer.from(base64, 'base64');
  const type = DATATYPES[datatype];
  if (!type) throw new Error(`A recorded tensor has the unknown datatype ${datatype}. This is a bug.`);
  return new type.array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer);
}
