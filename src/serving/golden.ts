/**
 * Golden cases: inputs as a client sends them, with the answers that the source framework computed.
 */
import { z } from 'zod';
import type { Answer, ModelInput } from '../tasks/input.js';
import type { VersionSpec } from '../tasks/spec.js';
import { ManifestError } from './manifest.js';

const golden = z.object({
  source: z.string(),
  tolerance: z.number().positive(),
  cases: z
    .array(
      z.object({
        input: z.record(z.string(), z.unknown()),
        expect: z.object({
          label: z.string().optional(),
          scores: z.record(z.string(), z.number()).optional(),
          value: z.number().optional(),
        }),
      }),
    )
    .min(1, 'no case proves nothing'),
});

export interface GoldenCase {
  readonly input: ModelInput;
  readonly expect: {
    readonly label?: string | undefined;
    readonly scores?: Readonly<Record<string, number>> | undefined;
    readonly value?: number | undefined;
  };
}

export interface Golden {
  readonly source: string;
  readonly tolerance: number;
  readonly cases: readonly GoldenCase[];
}

/** @throws ManifestError */
export function parseGolden(text: string): Golden {
  try {
    return golden.parse(JSON.parse(text)) as Golden;
  } catch (error) {
    const reason =
      error instanceof z.ZodError ? z.prettifyError(error) : error instanceof Error ? error.message : error;
    throw new ManifestError(`golden.json cannot be read: ${reason}`);
  }
}

/** How an answer differs from what the source framework said, or null. */
export function differenceFromGolden(
  spec: VersionSpec,
  { expect }: GoldenCase,
  tolerance: number,
  answer: Answer,
): string | null {
  if (answer.kind === 'regression') return differenceOfValues(answer.value, expect.value, tolerance);
  if (answer.kind !== 'classification') return 'the answer is no classification';
  if (expect.label !== undefined && answer.label !== expect.label)
    return `label ${answer.label} instead of ${expect.label}`;
  for (const [label, wanted] of Object.entries(expect.scores ?? {})) {
    const score = answer.scores?.[spec.labels.indexOf(label)];
    if (score === undefined) return `no score for ${label}`;
    if (Math.abs(score - wanted) > tolerance) return `score ${score} instead of ${wanted} for ${label}`;
  }
  return null;
}

/** Relative to the value where that is larger than one: a mass in grams has other last digits than a share. */
function differenceOfValues(value: number, wanted: number | undefined, tolerance: number): string | null {
  if (wanted === undefined) return 'the case expects no value';
  const isNear = Math.abs(value - wanted) <= tolerance * Math.max(1, Math.abs(wanted));
  return isNear ? null : `value ${value} instead of ${wanted}`;
}
