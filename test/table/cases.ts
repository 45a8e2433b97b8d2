/** The cases that the Python modules have written, and a model store made of them. */
import { cpSync, globSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Data } from '../support/graphql-client.ts';
import type { Right } from './compare.ts';

/** What expected.json has. */
export interface Expected {
  /** "ready" if the version must answer, "refuse" if its import must fail. */
  readonly kind: 'ready' | 'refuse';
  /** What the refusal must say, as parts of its text. For "ready": what it may say, where the server decides. */
  readonly words?: string | readonly string[];
  readonly source: string;
  readonly tolerance: number;
  readonly inputs: readonly Data[];
  readonly right: readonly Right[];
  /** The exported graph itself answers differently from its source: a fault of the converter. */
  readonly rawDiffers: boolean;
  /** Indices of the inputs that are so near to a tie that rounding decides. */
  readonly ties: readonly number[];
  readonly multiLabel?: boolean;
  /** Whether it must run several inputs at once. */
  readonly batches?: boolean;
}

export interface Case extends Expected {
  readonly group: string;
  /** Name of the model in the store. */
  readonly model: string;
  readonly folder: string;
}

/** The cases of a folder `<kind>/<case>/`. */
export function casesIn(folder: string): Case[] {
  return readdirSync(folder)
    .toSorted()
    .flatMap((group) =>
      readdirSync(path.join(folder, group))
        .toSorted()
        .map((name) => ({
          ...JSON.parse(readFileSync(path.join(folder, group, name, 'expected.json'), 'utf8')),
          group,
          model: `${group}-${name}`.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-'),
          folder: path.join(folder, group, name, 'model'),
        })),
    );
}

/** Goldens of the framework show what is wrong with a graph that answers differently. */
export const WITH_GOLDENS = '-golden';

/** Copies the models into the store; those with `rawDiffers` twice, the second time with golden cases. */
export function writeStore(store: string, cases: readonly Case[]): void {
  mkdirSync(store, { recursive: true });
  for (const { folder, model, rawDiffers, ...expected } of cases) {
    cpSync(folder, path.join(store, model), { recursive: true });
    if (!rawDiffers) continue;
    const copy = path.join(store, model + WITH_GOLDENS);
    cpSync(folder, copy, { recursive: true });
    const [graph = ''] = globSync('**/*.onnx', { cwd: copy });
    writeFileSync(path.join(copy, path.dirname(graph), 'golden.json'), JSON.stringify(goldenOf(expected)));
  }
}

function goldenOf({ source, tolerance, inputs, right }: Pick<Expected, 'source' | 'tolerance' | 'inputs' | 'right'>) {
  const cases = inputs.map((input, i) => ({ input, expect: expectOf(right[i] as Right) }));
  return { source, tolerance, cases };
}

/** golden.json cannot say that there are no scores. */
function expectOf(right: Right): Data {
  if (typeof right === 'number') return { value: right };
  if (Array.isArray(right)) return { values: right, vector: right };
  return Object.fromEntries(Object.entries(right).filter(([, value]) => value !== null));
}
