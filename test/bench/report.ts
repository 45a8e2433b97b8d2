/** The report of a run, and how it is recorded: parts that were measured replace the recorded ones, and others are kept. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { table } from './numbers.ts';
import type { Goal, Section } from './sections.ts';

const FOLDER = path.join(import.meta.dirname, 'results');
const FILE = path.join(FOLDER, 'README.md');
const GOALS = 'goals';

/** A part of the report in markdown, by the name of its section. */
export type Parts = ReadonlyMap<string, string>;

const GOAL_HEADER = ['part', 'what', 'aim', 'measured', ''];

export function goalRows(name: string, goals: readonly Goal[]): string[][] {
  return goals.map(({ what, aim, measured, isMet }) => [name, what, aim, measured, isMet ? 'met' : '**missed**']);
}

/** `order`: the names of all sections. */
export function compose(
  intro: string,
  parts: Parts,
  rows: readonly (readonly string[])[],
  order: readonly string[],
): string {
  const goals = `## Goals\n\n${table(GOAL_HEADER, rows)}`;
  const marked = order.flatMap((name) => (parts.has(name) ? [`<!-- ${name} -->\n${parts.get(name)}`] : []));
  return `${[intro, `<!-- ${GOALS} -->\n${goals}`, ...marked].join('\n\n')}\n`;
}

export type Measured = ReadonlyMap<string, { readonly part: string; readonly section: Section }>;

/** The recorded report, with what was measured in place of its parts of the same names. */
export function merge(recorded: string, intro: string, measured: Measured, order: readonly string[]): string {
  const kept = partsOf(recorded);
  const lines = (kept.get(GOALS) ?? '').split('\n').filter((line) => line.startsWith('| '));
  const goals = lines.slice(2).map((line) => line.slice(2, -2).split(' | '));
  const rows = order.flatMap((name) => {
    const one = measured.get(name);
    return one ? goalRows(name, one.section.goals ?? []) : goals.filter(([part]) => part === name);
  });
  const parts = new Map([...kept, ...Array.from(measured, ([name, { part }]) => [name, part] as const)]);
  return compose(intro, parts, rows, order);
}

function partsOf(report: string): Map<string, string> {
  const [, ...parts] = report.split(/^<!-- (\w+) -->\n/m);
  const named = parts.flatMap((name, i) => (i % 2 === 0 ? [[name, (parts[i + 1] ?? '').trimEnd()] as const] : []));
  return new Map(named);
}

/** Writes the recorded report and the plots. */
export function record(intro: string, measured: Measured, order: readonly string[]): void {
  mkdirSync(FOLDER, { recursive: true });
  for (const { section } of measured.values())
    for (const [file, svg] of Object.entries(section.plots ?? {})) writeFileSync(path.join(FOLDER, file), svg);
  const recorded = existsSync(FILE) ? readFileSync(FILE, 'utf8') : '';
  writeFileSync(FILE, merge(recorded, intro, measured, order));
}
