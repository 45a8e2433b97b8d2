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
      'Path and query to read the image from, relative to the address of the server. Anyone who has it can read the image without a key for 5 to 10 minutes, or until its prediction or dataset is deleted or the key that asked for the URL ends. Supports range requests and ETags.',
  })
  url(
    @Arg('maxSize', () => Int, {
      nullable: true,
      description:
        'Longest edge, in pixels, of a thumbnail to read instead, at least 32: rounded down to 32, 64, 128, 256, 512, 1024 or 2048. The thumbnail is made when it is first read; an image that is not larger is read as it is. Default: the image as it was sent.',
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
