/**
 * Plots of explanations. An explanation is not stored, so the URL of its plot holds what is drawn, sealed: only this server can
 * read it, and logs tell nothing of the input. Anyone who has the URL can read the plot for 5 to 10 minutes, as long as the key that
 * it was made for is accepted and the prediction exists.
 */
import type { Principal } from '../access/principal.js';
import { Plot } from '../evaluation/plot.type.js';
import { altTextOf } from '../plots/alt-text.js';
import { columnText } from '../plots/attribution-plot.js';
import { MAX_BARS } from '../plots/bar-plot.js';
import type { Theme } from '../plots/colors.js';
import type { ExplanationDrawing } from '../plots/drawing.js';
import type { Plotter } from '../plots/plotter.js';
import { inMemory, type OpenPicture } from '../prediction/open-picture.js';
import { expiresFor, type Reader, readerOf } from '../prediction/picture-urls.js';
import type { Explanation } from './explanation.type.js';

interface Parts {
  readonly plotter: Plotter;
  readonly sealed: {
    seal(text: string): Promise<string>;
    /** Null if it was not sealed here. */
    open(sealed: string): Promise<string | null>;
  };
  /** Whether the key that a URL was made for is still accepted. */
  readonly isReaderAccepted: (reader: Reader) => boolean;
  readonly isRecorded: (predictionId: string) => Promise<boolean>;
}

/** What a URL holds. */
interface Ticket {
  readonly drawing: ExplanationDrawing;
  readonly predictionId: string;
  /** In seconds since 1970. */
  readonly expires: number;
  readonly reader: Reader;
}

/** Names that are longer are shortened, so that URLs have at most about 5,000 characters. */
const MAX_NAME = 60;
export const MAX_DATA_CHARACTERS = 8_000;

export class ExplanationPlots {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  plotOf(explanation: Explanation, principal: Principal): Plot {
    const { predictionId } = explanation;
    const drawing = drawingOf(explanation);
    const ticket = (): Ticket => ({
      drawing,
      predictionId,
      expires: expiresFor(principal, Date.now()),
      reader: readerOf(principal),
    });
    const urlOf = async (theme: 'LIGHT' | 'DARK') => {
      const data = await this.#parts.sealed.seal(JSON.stringify(ticket()));
      return `/plots/explanations/${theme.toLowerCase()}.svg?data=${data}`;
    };
    return new Plot(urlOf, async () => altTextOf(drawing));
  }

  /**
   * Null if the data was not sealed here, or if its reader may no longer read.
   *
   * @throws TooManyPlotsError
   */
  async ofUrl(data: string, theme: Theme): Promise<{ readonly plot: OpenPicture; readonly reader: Reader } | null> {
    const { plotter, sealed, isReaderAccepted, isRecorded } = this.#parts;
    const text = await sealed.open(data);
    if (text === null) return null;
    const { drawing, predictionId, expires, reader }: Ticket = JSON.parse(text);
    if (expires * 1_000 <= Date.now() || !isReaderAccepted(reader) || !(await isRecorded(predictionId))) return null;
    const bytes = Buffer.from(await plotter.draw({ drawing, theme }, reader));
    return { plot: inMemory(bytes, 'image/svg+xml', data.slice(0, 22) + theme), reader };
  }
}

function drawingOf({ label: whole, score, base, heatMap, features, spans }: Explanation): ExplanationDrawing {
  const label = whole === null ? null : whole.slice(0, MAX_NAME);
  if (heatMap) {
    const { columns, rows, values } = heatMap;
    const limit = Math.max(...values.map(Math.abs));
    const percents = values.map((value) => Math.round((100 * value) / (limit || 1)));
    return { kind: 'HEAT_MAP', columns, rows, aspect: rows / columns, percents, limit, label };
  }
  const all = [
    ...(features ?? []).map(({ title, value, attribution }) => ({
      name: columnText(title, value),
      attribution,
    })),
    ...(spans ?? []).map(({ text, attribution }) => ({ name: text.slice(0, MAX_NAME), attribution })),
  ];
  const bars = all.sort((a, b) => Math.abs(b.attribution) - Math.abs(a.attribution)).slice(0, MAX_BARS);
  return { kind: 'ATTRIBUTIONS', bars, omitted: all.length - bars.length, score, base, label };
}
