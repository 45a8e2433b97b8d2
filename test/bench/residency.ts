/** Which models are kept in memory: the endurance test, as a section of the report. */
import { MIN_SHARE, residency } from '../endurance/residency.ts';
import { ms, percent, table } from './numbers.ts';
import type { Section } from './sections.ts';

const SEED = 1;

export async function residencySection(isQuick: boolean): Promise<Section> {
  const [models, room, requests] = isQuick ? [60, 15, 300] : [1_000, 50, 4_000];
  const report = await residency(models, room, requests, SEED);
  if (report.wrong > 0) throw new Error(`${report.wrong} answers were wrong.`);
  const row = [
    report.models.toLocaleString('en'),
    String(report.room),
    report.requests.toLocaleString('en'),
    percent(report.hits / report.requests),
    report.ofMostPopular.toFixed(3),
    report.optimalOfMostPopular.toFixed(3),
    ms(report.meanLoadMs),
    String(report.replaced),
  ];
  const header = ['models', 'room', 'requests', 'hits', '**of most popular**', 'Belady', 'mean load', 'workers ended'];
  return {
    goals: [
      {
        what: 'hits, × those of keeping the most popular models for ever',
        aim: `≥ ${MIN_SHARE}`,
        measured: report.ofMostPopular.toFixed(3),
        isMet: report.ofMostPopular >= MIN_SHARE,
      },
    ],
    markdown: `## Residency: many models, memory for a few

${table(header, [row])}

*How to read it:* equal models, requests by Zipf's law (exponent 0.9), one at a time, and one worker with memory for "room"
of them. A hit is a request whose model was loaded. "of most popular": hits, as a multiple of those of keeping the most
popular models for ever; "Belady" is Belady's optimal policy, which knows the future. "mean load" is the mean time of a
request that was no hit. \`npm run test:residency\` is the long run.`,
  };
}
