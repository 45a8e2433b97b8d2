/** Reads specs as the catalog stores them, including those written by earlier releases. */
import type { Activation, ColumnSpec, ImageSpec, SpecBase, TextSpec } from './spec.js';
import { type InputKind, type TaskName, taskNamed, type VersionSpec } from './tasks.js';

/** A variant of a version's graph, such as a quantized one, with its own spec. */
export interface VariantSpec {
  readonly name: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Null if the variant cannot be used; `reason` then says why. */
  readonly spec: VersionSpec | null;
  readonly reason: string | null;
  /**
   * Present if it could not be probed, and is probed again when the version is imported with more memory than this many
   * bytes; 0 if the process was killed from outside.
   */
  readonly unprobedBytes?: number;
}

type Head = VersionSpec['head'];

/** Earlier releases wrote columns with fewer keys, only one kind of resize, and `scores` or `value` instead of `head`. */
interface StoredSpec extends Omit<SpecBase, 'columns'> {
  readonly task: TaskName;
  readonly inputKind: InputKind;
  readonly columns: readonly (Omit<ColumnSpec, 'input' | 'missing'> & Partial<ColumnSpec>)[];
  readonly image: ImageSpec | EarlierImageSpec | null;
  readonly text?: TextSpec | null;
  readonly head?: Head;
  readonly scores?: { readonly output: string; readonly activation: Activation } | null;
  readonly value?: { readonly output: string; readonly unit: string | null } | null;
}

type EarlierImageSpec = { readonly width: number; readonly height: number } & Pick<
  ImageSpec,
  'color' | 'rescaleFactor' | 'mean' | 'std'
>;

/** Parses a stored spec and converts it to the current form. */
export function readSpec(json: string): VersionSpec {
  return upgradeSpec(JSON.parse(json));
}

/** Parses stored variants and converts their specs to the current form. */
export function readVariants(json: string): VariantSpec[] {
  const variants = JSON.parse(json) as (Omit<VariantSpec, 'spec'> & { readonly spec: StoredSpec | null })[];
  return variants.map((variant) => ({ ...variant, spec: variant.spec && upgradeSpec(variant.spec) }));
}

const BYTES_PER_PARAMETER = 4;

/**
 * Estimates the operations of a version that an earlier release has imported: as if each parameter were used once for each
 * token, or once for a row or an image.
 */
export function withOperations(spec: VersionSpec, artifactBytes: number): VersionSpec {
  if (spec.operationsPerValue !== undefined) return spec;
  const shapes = spec.inputs.map(({ shape }) => (spec.text ? [] : shape));
  const values = shapes.reduce((sum, shape) => sum + shape.reduce<number>((all, size) => all * (size ?? 1), 1), 0);
  return { ...spec, operationsPerValue: artifactBytes / BYTES_PER_PARAMETER / Math.max(1, values) };
}

function upgradeSpec({ scores, value, ...spec }: StoredSpec): VersionSpec {
  const input = spec.inputs[0]?.name ?? '';
  const upgraded = {
    ...spec,
    columns: spec.columns.map((column) => ({ input, missing: '', ...column })),
    image: spec.image && ('resample' in spec.image ? spec.image : imageFromEarlier(spec.image)),
    text: spec.text ?? null,
    head: spec.head ?? headFromEarlier(spec, scores ?? null, value ?? null),
  } satisfies SpecBase &
    Record<
      Exclude<
        keyof VersionSpec,
        'operationsPerValue' | 'uncheckedBatchesBytes' | 'seriesLayout' | 'dataFiles' | 'bytes'
      >,
      unknown
    >;
  // Only specs that were valid when written are stored.
  return upgraded as unknown as VersionSpec;
}

function imageFromEarlier({ width, height, ...rest }: EarlierImageSpec): ImageSpec {
  const resize = { kind: 'exact', width, height } as const;
  return { ...rest, resize, resample: 'bilinear', crop: null, pad: null, layout: 'NCHW' };
}

function headFromEarlier(
  { task, outputs }: Pick<StoredSpec, 'task' | 'outputs'>,
  scores: NonNullable<StoredSpec['scores']> | null,
  value: NonNullable<StoredSpec['value']> | null,
): Head {
  if (taskNamed(task).part === 'tensors') return { kind: 'tensors' };
  if (scores) return { kind: 'scores', ...scores };
  return value ? { kind: 'value', ...value } : { kind: 'label', output: outputs[0]?.name ?? '' };
}
