/** The output type of graphs whose tensors are returned as they are. */
import { Field, Int, ObjectType } from 'type-graphql';
import { Cost } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { enumOf } from '../graphql/enum.type.js';
import { Base64, JSONValue } from '../graphql/scalars.js';
import { Sized } from '../graphql/sized.js';
import { DATATYPES, type NumericArray, type TensorArray, type TensorData } from '../tasks/datatypes.js';
import { BYTES_PER_NUMBER } from './output-size.js';

export function base64Of({ buffer, byteOffset, byteLength }: NumericArray): Sized<string> {
  const jsonBytes = 4 * Math.ceil(byteLength / 3) + 2;
  return new Sized({ jsonBytes }, () => Buffer.from(buffer, byteOffset, byteLength).toString('base64'));
}

type NonFiniteKind = 'NAN' | 'INFINITY' | 'NEGATIVE_INFINITY';

const NonFiniteKindEnum = enumOf<NonFiniteKind>('NonFiniteKind', 'Number that JSON does not have.', {
  NAN: 'Not a number, such as the logarithm of -1.',
  INFINITY: 'Infinity.',
  NEGATIVE_INFINITY: 'Negative infinity.',
});

@ObjectType({
  description: 'Places in `Tensor.data` that are null because of one kind of number.',
})
export class NonFinite {
  @Field(() => NonFiniteKindEnum, { description: 'What the graph returned in these places.' })
  kind!: NonFiniteKind;

  @Cost({ bytes: (_, { prediction }) => BYTES_PER_NUMBER * prediction.outputValues })
  @Field(() => JSONValue, { description: 'Indices into `Tensor.data`, from 0, ascending, as a list of numbers.' })
  indices!: Sized<number[]>;
}

/** The kinds that occur in the data, with their indices. */
function nonFiniteOf({ datatype, data }: TensorData): NonFinite[] {
  if (DATATYPES[datatype]?.range !== null) return [];
  const counts = { NAN: 0, INFINITY: 0, NEGATIVE_INFINITY: 0 };
  for (let i = 0; i < data.length; i++) {
    const kind = nonFiniteKindOf(data[i] as number);
    if (kind) counts[kind]++;
  }
  const kinds = (Object.keys(counts) as NonFiniteKind[]).filter((kind) => counts[kind] > 0);
  return kinds.map((kind) => {
    const indices = new Sized<number[]>({ jsonBytes: counts[kind] * MAX_INDEX_BYTES + 2 }, () => indicesOf(data, kind));
    return create(NonFinite, { kind, indices });
  });
}

function indicesOf(data: TensorArray, kind: NonFiniteKind): number[] {
  const indices: number[] = [];
  for (let i = 0; i < data.length; i++) if (nonFiniteKindOf(data[i] as number) === kind) indices.push(i);
  return indices;
}

function nonFiniteKindOf(value: number): NonFiniteKind | null {
  if (Number.isFinite(value)) return null;
  return Number.isNaN(value) ? 'NAN' : value > 0 ? 'INFINITY' : 'NEGATIVE_INFINITY';
}

/** An index and its comma in JSON: outputs have at most `MAX_OUTPUT_BYTES`, so fewer than 10 million values. */
const MAX_INDEX_BYTES = 8;

@ObjectType({ description: 'Tensor that the graph returned.' })
export class Tensor {
  constructor(private readonly tensor: TensorData) {
    this.name = tensor.name;
    this.datatype = tensor.datatype;
    this.shape = [...tensor.shape];
  }

  @Field({ description: "Name of the graph's output." })
  name: string;

  @Field({ description: 'Datatype as in `signature.outputs`, such as FP32, INT64 or BYTES.' })
  datatype: string;

  @Field(() => [Int], { description: 'Size of each dimension.' })
  shape: number[];

  @Cost({ bytes: (_, { prediction }) => BYTES_PER_NUMBER * prediction.outputValues })
  @Field(() => JSONValue, {
    nullable: true,
    description:
      'All values as one flat list in row-major order. BYTES, and integers beyond 2^53, are strings; booleans are 1 or 0; NaN and infinities are null, and `nonFinite` tells which. Null if the list was left out with the error RESPONSE_TOO_LARGE or OVERLOADED.',
  })
  data(): readonly string[] | Sized<unknown[]> {
    const { data, datatype } = this.tensor;
    if (Array.isArray(data)) return data;
    return new Sized({ jsonBytes: data.length * jsonBytesOf(datatype) + 2 }, () =>
      Array.from<unknown, unknown>(data, (value) => {
        if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
        return typeof value === 'number' && !Number.isFinite(value) ? null : value;
      }),
    );
  }

  @Cost({ elements: 3 })
  @Field(() => [NonFinite], {
    description: 'Which values of `data` are null, by what the graph returned there; empty if all numbers are finite.',
  })
  nonFinite(): NonFinite[] {
    return nonFiniteOf(this.tensor);
  }

  @Cost({ bytes: (_, { prediction }) => 6 * prediction.outputValues })
  @Field(() => Base64, {
    nullable: true,
    description: 'All values as little-endian bytes in row-major order; null if `datatype` is BYTES.',
  })
  base64(): Sized<string> | null {
    const { data } = this.tensor;
    return Array.isArray(data) ? null : base64Of(data);
  }
}

/** Upper bound of a value and its comma in JSON: the digits of the largest integer, or of any double. */
function jsonBytesOf(datatype: string): number {
  const range = DATATYPES[datatype]?.range;
  return range ? Math.max(...range.map((limit) => String(limit).length)) + (range[1] > 2n ** 53n ? 3 : 1) : 26;
}

@ObjectType({ description: 'Outputs of a graph, unchanged.' })
export class Tensors {
  // `outputValues` are those of all tensors together.
  @Cost({ elements: 1 })
  @Field(() => [Tensor], { description: 'One tensor for each of `signature.outputs`.' })
  tensors!: Tensor[];
}
