/**
 * One ONNX Runtime session: from verified bytes to tensors in, tensors out.
 *
 * `run` is synchronous native code behind a promise: nothing else happens in this process meanwhile, and only
 * SIGKILL ends it early. That is why sessions live in worker processes.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { DATATYPES, datatypeOfOrt, type TensorArray, type TensorData } from '../../tasks/datatypes.js';
import type { TensorSpec } from '../../tasks/spec.js';

export interface SessionOptions {
  /** 'cuda', 'webgpu' or 'cpu'. ONNX Runtime throws for one that is not there; it never falls back. */
  readonly provider: string;
  /** An empty folder: a model loaded from bytes may otherwise read files below the working directory. */
  readonly emptyFolder: string;
}

export class Session {
  readonly #session: InferenceSession;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly #outputNames: readonly string[];

  private constructor(session: InferenceSession) {
    this.#session = session;
    this.inputs = session.inputMetadata.map(describeTensor).filter((tensor) => tensor !== null);
    this.outputs = session.outputMetadata.map(describeTensor).filter((tensor) => tensor !== null);
    this.#outputNames = this.outputs.map(({ name }) => name);
  }

  /** @throws Error with ONNX Runtime's words when the bytes are no model it can run. */
  static async open(bytes: Uint8Array, { provider, emptyFolder }: SessionOptions): Promise<Session> {
    const session = await InferenceSession.create(bytes, {
      executionProviders: [provider],
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      // Its errors come back as exceptions; on stderr they would only be noise.
      logSeverityLevel: 4,
      extra: { session: { model_external_initializers_file_folder_path: emptyFolder } },
    });
    const opened = new Session(session);
    if (opened.inputs.length < session.inputMetadata.length) {
      await session.release();
      throw new Error('an input is not a tensor; ONNX Runtime for Node takes tensors only');
    }
    return opened;
  }

  /** Answers the outputs that are wanted, or all. */
  async run(inputs: readonly TensorData[], wanted: readonly string[] | null = null): Promise<TensorData[]> {
    const feeds = Object.fromEntries(inputs.map((tensor) => [tensor.name, toOrt(tensor)]));
    // Named outputs only: a sequence of maps (ZipMap) cannot be returned, the tensors beside it can.
    const names = wanted ?? this.#outputNames;
    const outputs = await this.#session.run(feeds, [...names]);
    return names.map((name) => fromOrt(name, outputs[name] as Tensor));
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

function describeTensor(metadata: InferenceSession.ValueMetadata): TensorSpec | null {
  const datatype = metadata.isTensor ? datatypeOfOrt(metadata.type) : undefined;
  if (!metadata.isTensor || !datatype) return null;
  const shape = metadata.shape.map((size) => (typeof size === 'number' && size >= 0 ? size : null));
  return { name: metadata.name, datatype, shape };
}

function toOrt({ datatype, shape, data }: TensorData): Tensor {
  if (datatype === 'BYTES') return new Tensor('string', data as string[], shape);
  if (datatype === 'FP16') return halfTensor(data as Float16Array, shape);
  return new Tensor((DATATYPES[datatype]?.ort ?? datatype) as 'float32', data as Float32Array, shape);
}

/**
 * The library makes a Float16Array of half floats, which its native part does not know and takes for nothing. It reads
 * the bits of a Uint16Array when the tensor only says what they are.
 */
function halfTensor({ buffer, byteOffset, length }: Float16Array, shape: readonly number[]): Tensor {
  const bits = new Tensor('uint16', new Uint16Array(buffer, byteOffset, length), shape);
  return Object.defineProperty(bits, 'type', { value: 'float16' });
}

function fromOrt(name: string, tensor: Tensor): TensorData {
  return {
    name,
    datatype: datatypeOfOrt(tensor.type) ?? tensor.type,
    shape: tensor.dims,
    data: tensor.data as TensorArray,
  };
}
