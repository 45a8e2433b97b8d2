/**
 * What a client sends (`ModelInput`), what crosses to a worker (`Item`), and what comes back (`Answer`).
 *
 * A check turns the first into the second, or says precisely why it cannot.
 */
import { type InputProblem, type InputProblemCode, InvalidInputError } from '../errors.js';
import type { TensorData } from './datatypes.js';

export interface TensorInput {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data?: unknown;
  readonly base64?: string | null;
}

/** Exactly one key. */
export interface ModelInput {
  readonly row?: Readonly<Record<string, unknown>> | null;
  readonly text?: string | null;
  readonly image?: { readonly base64?: string | null } | null;
  readonly tensors?: readonly TensorInput[] | null;
}

/** A checked input, as it travels to a worker. `rows` is how much of a batch it fills. */
export type Item =
  | { readonly kind: 'row'; readonly rows: 1; readonly values: readonly (number | string)[] }
  | { readonly kind: 'text'; readonly rows: 1; readonly text: string }
  | { readonly kind: 'image'; readonly rows: 1; readonly bytes: Uint8Array }
  | { readonly kind: 'tensors'; readonly rows: number; readonly tensors: readonly TensorData[] };

export type Answer =
  | { readonly kind: 'classification'; readonly label: string; readonly scores: readonly number[] | null }
  | { readonly kind: 'regression'; readonly value: number; readonly unit: string | null }
  | { readonly kind: 'tensors'; readonly tensors: readonly TensorData[] };

/**
 * A failure of one item inside a worker: `input` is the caller's to mend, `inference` is the model's; `memory` says that
 * an allocation failed, which may be the fault of whatever else ran there.
 */
export type ItemFailure =
  | { readonly kind: 'input'; readonly code: InputProblemCode; readonly message: string }
  | { readonly kind: 'inference' | 'memory'; readonly message: string };

const MAX_PROBLEMS = 20;

/** Collects what is wrong with one input; paths start with `prefix`. */
export class Problems {
  readonly #found: InputProblem[] = [];

  constructor(readonly prefix: readonly string[]) {}

  /** Enough is enough: past this many a list of problems helps nobody. */
  get isFull(): boolean {
    return this.#found.length >= MAX_PROBLEMS;
  }

  add(path: readonly string[], code: InputProblemCode, message: string, expected?: string, received?: unknown): void {
    if (this.isFull) return;
    this.#found.push({
      path: [...this.prefix, ...path],
      code,
      message,
      expected: expected ?? null,
      received: received === undefined ? null : describe(received),
    });
  }

  /** @throws InvalidInputError when anything was added. */
  throwIfAny(): void {
    if (this.#found.length > 0) throw new InvalidInputError(this.#found);
  }
}

const MAX_SHOWN = 60;

/** A short text for any value that a client may have sent. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string')
    return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value);
  return String(value);
}
