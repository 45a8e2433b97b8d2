/**
 * Specs as the catalog stores them, those that earlier releases wrote included.
 */
import type { Activation, ColumnSpec, ImageSpec, SpecBase, TextSpec } from './spec.js';
import { type InputKind, type TaskName, taskNamed, type VersionSpec } from './tasks.js';

/** Another form of a version's graph, such as a quantized one, with a spec of its own. */
export interface VariantSpec {
  readonly name: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Null for a variant that cannot be used; then `reason` says why. */
  readonly spec: VersionSpec | null;
  readonly reason: string | null;
}

type Head = VersionSpec['head'];

/** Earlier releases wrote fewer keys of a column, one way to resize, and `scores` or `value` instead of a head. */
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

/** A spec as the catalog stores it. */
export function readSpec(json: string): VersionSpec {
  return upgradeSpec(JSON.parse(json));
}

/** Variants as the catalog stores them. */
export function readVariants(json: string): VariantSpec[] {
  const variants = JSON.parse(json) as (Omit<VariantSpec, 'spec'> & { readonly spec: StoredSpec | null })[];
  return variants.map((variant) => ({ ...variant, spec: variant.spec && upgradeSpec(variant.spec) }));
}

function upgradeSpec({ scores, value, ...spec }: StoredSpec): VersionSpec {
  const input = spec.inputs[0]?.name ?? '';
  const upgraded = {
    ...spec,
    columns: spec.columns.map((column) => ({ input, missing: '', ...column })),
    image: spec.image && ('resample' in spec.image ? spec.image : imageFromEarlier(spec.image)),
    text: spec.text ?? null,
    head: spec.head ?? headFromEarlier(spec, scores ?? null, value ?? null),
  };
  // What is stored was a `VersionSpec` when it was written.
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
