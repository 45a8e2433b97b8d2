/**
 * Plots of what is not stored, such as explanations and recommendations: their URLs hold what is drawn, sealed. Only this server can
 * read it, and logs tell nothing of it. Anyone who has such a URL can read the plot for 5 to 10 minutes, as long as the key that it
 * was made for is accepted, and what it shows still exists and may be seen.
 */
import type { Principal } from '../access/principal.js';
import { visibleValues } from '../access/visibility.js';
import { findDatasetsByIds } from '../catalog/dataset.queries.js';
import { findVersionsByIds } from '../catalog/version.queries.js';
import { altTextOf } from '../plots/alt-text.js';
import type { Theme } from '../plots/colors.js';
import type { SealedDrawing } from '../plots/drawing.js';
import type { Plotter } from '../plots/plotter.js';
import { inMemory, type OpenPicture } from '../prediction/open-picture.js';
import { expiresFor, type Reader, readerOf } from '../prediction/picture-urls.js';
import type { CatalogDatabase } from '../storage/database.js';
import { Plot } from './plot.type.js';
import { viewerOf } from './plot-urls.js';

/** What a plot shows: a prediction, or versions on a dataset. */
export type Shown =
  | { readonly predictionId: string }
  | { readonly datasetId: string; readonly versionIds: readonly string[] };

interface Parts {
  readonly db: CatalogDatabase;
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
  readonly drawing: SealedDrawing;
  readonly shown: Shown;
  /** What its reader may see: that of this account; null for everything. */
  readonly account: string | null;
  /** In seconds since 1970. */
  readonly expires: number;
  readonly reader: Reader;
}

/** Of a URL. Drawings are small enough for it. */
export const MAX_DATA_CHARACTERS = 8_000;

export class SealedPlots {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  plotOf(drawing: SealedDrawing, shown: Shown, principal: Principal): Plot {
    const ticket = (): Ticket => ({
      drawing,
      shown,
      account: visibleValues(principal)?.account ?? null,
      expires: expiresFor(principal, Date.now()),
      reader: readerOf(principal),
    });
    const urlOf = async (theme: 'LIGHT' | 'DARK') => {
      const data = await this.#parts.sealed.seal(JSON.stringify(ticket()));
      return `/plots/sealed/${theme.toLowerCase()}.svg?data=${data}`;
    };
    return new Plot(urlOf, async () => altTextOf(drawing));
  }

  /**
   * Null if the data was not sealed here, or if its reader may no longer read.
   *
   * @throws TooManyPlotsError
   */
  async ofUrl(data: string, theme: Theme): Promise<{ readonly plot: OpenPicture; readonly reader: Reader } | null> {
    const { plotter, sealed, isReaderAccepted } = this.#parts;
    const text = await sealed.open(data);
    if (text === null) return null;
    const ticket: Ticket = JSON.parse(text);
    const { drawing, expires, reader } = ticket;
    if (expires * 1_000 <= Date.now() || !isReaderAccepted(reader) || !(await this.#isThere(ticket))) return null;
    const bytes = Buffer.from(await plotter.draw({ drawing, theme }, reader));
    return { plot: inMemory(bytes, 'image/svg+xml', data.slice(0, 22) + theme), reader };
  }

  async #isThere({ shown, account }: Ticket): Promise<boolean> {
    const { db, isRecorded } = this.#parts;
    if ('predictionId' in shown) return isRecorded(shown.predictionId);
    const viewer = viewerOf({ account });
    const { datasetId, versionIds } = shown;
    const datasets = await findDatasetsByIds(db, viewer, [datasetId]);
    const versions = await findVersionsByIds(db, viewer, versionIds);
    return datasets.length === 1 && versions.length === versionIds.length;
  }
}
