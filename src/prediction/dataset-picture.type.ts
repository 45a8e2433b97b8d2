import { Field, ObjectType } from 'type-graphql';
import { Picture } from './picture.type.js';

@ObjectType({ description: 'Image in a row of a dataset.' })
export class DatasetImage {
  @Field({ description: 'Name of the column that it is the value of.' })
  column!: string;

  @Field(() => Picture, {
    nullable: true,
    description:
      'The image by its URL; null if its size cannot be read, or a file of up to 4 KiB is in a row of more than 256 KiB. Such a file has no thumbnails, and is read as it is.',
  })
  picture!: Picture | null;
}
