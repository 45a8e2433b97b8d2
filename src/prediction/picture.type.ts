import { Arg, Field, Int, ObjectType } from 'type-graphql';
import { checkRange } from '../graphql/check-range.js';
import { MIN_SIZE, thumbnailSize } from './thumbnails.js';

@ObjectType({ description: 'Image that is read by its URL.' })
export class Picture {
  constructor(
    { width, height, mediaType }: Pick<Picture, 'width' | 'height' | 'mediaType'>,
    private readonly urlOf: (maxSize: number) => Promise<string>,
  ) {
    this.width = width;
    this.height = height;
    this.mediaType = mediaType;
  }

  @Field(() => String, {
    description:
      'Where to read the image: a path and a query, relative to the address of the server. Whoever has it may read the image, without a key, for 5 to 10 minutes, unless the prediction is deleted or the key that asked for the URL ends. Answers ranges, and 304 for an ETag.',
  })
  url(
    @Arg('maxSize', () => Int, {
      nullable: true,
      description:
        'Longest edge, in pixels, of the thumbnail to read in place of the image: it has the largest of 32, 64, 128, 256, 512, 1024 and 2048 that is not longer, and is made when it is first read. Default: the image as it was sent, also if it is smaller.',
    })
    maxSize: number | null,
  ): Promise<string> {
    if (maxSize == null) return this.urlOf(0);
    checkRange('maxSize', maxSize, MIN_SIZE);
    return this.urlOf(thumbnailSize(maxSize, this));
  }

  @Field(() => Int, { description: 'Width in pixels, after EXIF orientation is applied.' })
  width: number;

  @Field(() => Int, { description: 'Height in pixels, after EXIF orientation is applied.' })
  height: number;

  @Field({ description: 'Media type of the file: "image/jpeg", "image/png" or "image/webp".' })
  mediaType: string;
}
