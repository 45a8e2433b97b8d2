/**
 * One ONNX Runtime session: opens a model from verified bytes and runs tensors through it.
 *
 * `run` is synchronous native code behind a promise. It blocks its thread, and only SIGKILL can stop it early. That is
 * why sessions live in worker processes.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { DATATYPES, datatypeOfOrt, type TensorArray, type TensorData } from '../../tasks/datatypes.js';
import type { TensorSpec } from '../../tasks/spec.js';

export interface SessionOptions {
  /** 'cuda', 'webgpu' or 'cpu'. ONNX Runtime throws if it is not available and never falls back to another. */
  readonly provider: string;
  /**
   * The folder with the data files of the graph, an empty one if it has none. Without it, a model could read files below the
   * working directory.
   */
  readonly dataFolder: string;
}

/** Pad_Fusion replaces the zeros before a MaxPool by the least number, so that negative values win over the padding. */
const WRONG_OPTIMIZERS = 'Pad_Fusion';

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

  /** @throws Error with ONNX Runtime's message if it cannot load the model, or if an input is not a tensor */
  static async open(bytes: Uint8Array, { provider, dataFolder }: SessionOptions): Promise<Session> {
    const session = await InferenceSession.create(bytes, {
      executionProviders: [provider],
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      // Fatal only: ONNX Runtime throws its errors as exceptions too, so they need no log on stderr.
      logSeverityLevel: 4,
      extra: {
        session: { model_external_initializers_file_folder_path: dataFolder },
        optimization: { disable_specified_optimizers: WRONG_OPTIMIZERS },
      },
    });
    const opened = new Session(session);
    if (opened.inputs.length < session.inputMetadata.length) {
      await session.release();
      throw new Error('an input of the graph is not a tensor; ONNX Runtime for Node accepts only tensors');
    }
    return opened;
  }

  /** Runs the graph and returns the `wanted` outputs in that order; null returns all tensor outputs. */
  async run(inputs: readonly TensorData[], wanted: readonly string[] | null = null): Promise<TensorData[]> {
    const feeds = Object.fromEntries(inputs.map((tensor) => [tensor.name, toOrt(tensor)]));
    // Tensor outputs only: requesting a sequence of maps (ZipMap) would throw.
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
 * Creates a float16 tensor. onnxruntime-node stores float16 as a Float16Array, which its native part does not recognize
 * and treats as empty. It does read a Uint16Array with the same bits if the tensor's type is float16.
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
