/** The table: a row per kind, and below it each case that did not end as expected, and what refusals say. */
import type { Ending, Judgment } from './judge.ts';

/** Whether no version is READY and wrong, and each refusal names what to change. */
export function printTable(judgments: readonly Judgment[]): boolean {
  console.log(
    '| kind | source | cases | right | refused as expected | refused otherwise | refused by goldens only | wrong | ties | largest difference |',
  );
  console.log('|---|---|--:|--:|--:|--:|--:|--:|--:|--:|');
  const groups = Map.groupBy(judgments, ({ case: { group } }) => group);
  for (const [group, list] of groups) console.log(rowOf(group, list));
  console.log(rowOf('all', judgments));
  printReasons(
    'Refused',
    judgments.filter(({ ending }) => ending === 'refused' || ending === 'unnamed'),
  );
  printReasons('Different in the exported graph itself, refused by goldens only', ofEnding(judgments, 'converter'));
  printReasons('WRONG', ofEnding(judgments, 'wrong'));
  printReasons('REFUSED WITHOUT WHAT TO CHANGE', ofEnding(judgments, 'unnamed'));
  return judgments.every(({ ending }) => ending !== 'wrong' && ending !== 'unnamed');
}

function ofEnding(judgments: readonly Judgment[], ending: Ending): Judgment[] {
  return judgments.filter((one) => one.ending === ending);
}

function rowOf(group: string, list: readonly Judgment[]): string {
  const count = (ending: Ending) => ofEnding(list, ending).length;
  const refused = list.filter(({ ending }) => ending === 'refused' || ending === 'unnamed');
  const expected = refused.filter(({ isExpected }) => isExpected).length;
  const sources = [...new Set(list.flatMap(({ case: { source } }) => source.split(', ')))];
  const right = ofEnding(list, 'right');
  const largest = Math.max(0, ...right.map((one) => one.largest));
  const ties = list.reduce((sum, one) => sum + one.ties, 0);
  const numbers = [
    list.length,
    right.length,
    expected,
    refused.length - expected,
    count('converter'),
    count('wrong'),
    ties,
  ];
  return `| ${[group, group === 'all' ? '' : sources.join(', '), ...numbers, largest.toExponential(1)].join(' | ')} |`;
}

/** Each reason once, with the models of which it is said. Names and numbers in reasons differ between models. */
function printReasons(title: string, judgments: readonly Judgment[]): void {
  if (judgments.length === 0) return;
  console.log(`\n${title}:`);
  const byReason = Map.groupBy(judgments, ({ reason }) => (reason ?? '').replaceAll(/\d[\d.e-]*/g, '…'));
  for (const list of byReason.values()) {
    const [{ case: one, reason }] = list as [Judgment];
    const others = list.length > 1 ? ` and ${list.length - 1} more` : '';
    console.log(`- ${one.model}${others}: ${reason}`);
  }
}
