import { Ctx, FieldResolver, Resolver, Root } from 'type-graphql';
import { MAX_PICTURE_ROW_BYTES } from '../datasets/dataset-limits.js';
import { DatasetRow } from '../datasets/dataset-rows.type.js';
import { digestIn } from '../datasets/image-value.js';
import type { DatasetContext } from '../datasets/loaders.js';
import { Cost } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { Sized } from '../graphql/sized.js';
import { factsOfImage } from '../tasks/image-file.js';
import { DatasetImage } from './dataset-picture.type.js';
import { imageName } from './dataset-pictures.js';
import { Picture } from './picture.type.js';
import type { PictureUrls } from './picture-urls.js';

/** Of a row. */
const MAX_IMAGES = 10;

interface ImageOfRow {
  /** Of the dataset. */
  readonly id: string;
  readonly name: string;
  readonly value: string;
  readonly rowBytes: number;
}

@Resolver(() => DatasetRow)
export class DatasetPictureResolver {
  constructor(private readonly urls: PictureUrls) {}

  @Cost({ elements: MAX_IMAGES })
  @FieldResolver(() => [DatasetImage], {
    description: `Images in the row, in the order of their columns, at most ${MAX_IMAGES}.`,
  })
  images(@Root() row: DatasetRow, @Ctx() context: DatasetContext): Sized<DatasetImage[], string> {
    const { place, dataset, number } = row;
    return new Sized(
      { readBytes: place.length },
      () => context.datasetLoaders.json.load(place),
      async (json) => {
        const columns = await context.datasetLoaders.imageColumns.load(dataset.id);
        const values = Object.entries(JSON.parse(json) as Record<string, unknown>).map(([column, value], index) => ({
          column,
          value,
          index,
        }));
        const images = values.filter(({ column, value }) => columns.has(column) && typeof value === 'string');
        return Promise.all(
          images.slice(0, MAX_IMAGES).map(async ({ column, value, index }) => {
            const name = imageName(value as string, number, index);
            const found = { id: dataset.id, name, value: value as string, rowBytes: place.length };
            const picture = await this.#pictureOf(found, context);
            return create(DatasetImage, { column, picture });
          }),
        );
      },
    );
  }

  async #pictureOf(
    { id, name, value, rowBytes }: ImageOfRow,
    { principal, datasetLoaders }: DatasetContext,
  ): Promise<Picture | null> {
    const digest = digestIn(value);
    if (digest === null && rowBytes > MAX_PICTURE_ROW_BYTES) return null;
    if (digest === null) {
      const facts = factsOfImage(Buffer.from(value, 'base64'));
      return facts && new Picture(facts, () => this.urls.of(principal, { id, name, maxSize: 0 }));
    }
    const found = await datasetLoaders.image.load({ id, digest });
    if (!found) return null;
    const { width, height, media_type: mediaType } = found;
    return new Picture({ width, height, mediaType }, (maxSize) => this.urls.of(principal, { id, name, maxSize }));
  }
}
