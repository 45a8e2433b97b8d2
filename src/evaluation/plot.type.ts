import { Arg, Field, Int, ObjectType } from 'type-graphql';
import { enumOf } from '../graphql/enum.type.js';
import { PLOT_WIDTH } from '../plots/plot-frame.js';
import type { PlotKindName } from './plot-urls.js';

export const PlotKind = enumOf<PlotKindName>('PlotKind', 'What a plot shows.', {
  CONFUSION_MATRIX: 'How often each class was predicted for each true class, for up to 20 classes.',
  ROC: 'Receiver operating characteristic of up to 8 classes, each against the others; of two classes, of the last one.',
  PRECISION_RECALL: 'Precision at each recall, of up to 8 classes.',
  CALIBRATION:
    'How often a class occurred, at each predicted probability, for up to 8 classes; of two classes, for the last one.',
  IMPORTANCE: 'How much a metric depends on each column, of the 12 most important ones: see `Evaluation.importance`.',
});

export const PlotTheme = enumOf('PlotTheme', 'Colors of a plot.', {
  LIGHT: 'Dark on white.',
  DARK: 'Light on a dark background.',
});

@ObjectType({ description: `Plot as SVG, for \`<img>\`: ${PLOT_WIDTH} pixels wide, and legible at that width.` })
export class Plot {
  constructor(
    private readonly urlOf: (theme: keyof typeof PlotTheme) => Promise<string>,
    private readonly text: () => Promise<string>,
  ) {}

  @Field(() => String, {
    description:
      'Path and query to read the plot from, relative to the address of the server. Anyone who has it can read the plot without a key for 5 to 10 minutes, as long as the key that asked for the URL is accepted, and what it shows is neither deleted nor hidden from its account. Supports ETags.',
  })
  url(
    @Arg('theme', () => PlotTheme, { defaultValue: 'LIGHT', description: 'Colors.' }) theme: keyof typeof PlotTheme,
  ): Promise<string> {
    return this.urlOf(theme);
  }

  @Field(() => String, {
    description: 'What the plot shows, with its figures, in English: for `alt`. Labels are shortened.',
  })
  altText(): Promise<string> {
    return this.text();
  }

  @Field(() => Int, { description: 'Width in pixels.' })
  width: number = PLOT_WIDTH;
}
