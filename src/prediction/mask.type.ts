/** GraphQL types of segmented images. */
import { Field, Int, ObjectType } from 'type-graphql';
import { Cost } from '../graphql/cost.js';
import { JSONValue } from '../graphql/scalars.js';
import { Sized } from '../graphql/sized.js';
import type { AnswerOf, Mask } from '../tasks/answer.js';
import { MAX_MASK_PIXELS, MAX_MASK_VALUES, MAX_RUN_LENGTHS } from '../tasks/masks.js';

/** A number of up to seven digits, and its comma. */
const BYTES_PER_RUN = 8;

/** Where a mask is. */
interface MaskPlace {
  /** Null if the prediction is not stored. */
  readonly predictionId: string | null;
  /** In the answer. */
  readonly index: number;
  readonly size: { readonly width: number; readonly height: number };
}

@ObjectType('Mask', { description: 'Pixels of an image that belong to one class.' })
export class MaskType {
  constructor(
    private readonly mask: Mask,
    readonly place: MaskPlace,
  ) {
    this.label = mask.label;
    this.pixelCount = mask.runLengths.reduce((sum, run, i) => sum + (i % 2) * run, 0);
  }

  @Field({ description: "Class of the pixels, one of the version's labels." })
  label: string;

  @Field(() => Int, { description: 'Number of pixels of the class.' })
  pixelCount: number;

  @Cost({ bytes: (_, { prediction }) => (BYTES_PER_RUN * MAX_RUN_LENGTHS) / Math.max(1, prediction.labels) })
  @Field(() => JSONValue, {
    description:
      'Numbers of pixels that are outside and inside the class, in turn, row by row from the top left: [5, 2, 8, 3] are 5 pixels outside, 2 inside, 8 outside and 3 inside. The pixels that remain are outside.',
  })
  runLengths(): Sized<number[]> {
    const { runLengths } = this.mask;
    return new Sized({ jsonBytes: BYTES_PER_RUN * runLengths.length + 2 }, () => Array.from(runLengths));
  }
}

@ObjectType({ description: 'Class of each pixel of an image, as a mask for each class that occurs.' })
export class Masks {
  constructor(
    private readonly answer: AnswerOf<'masks'>,
    private readonly predictionId: string | null,
  ) {
    this.width = answer.width;
    this.height = answer.height;
  }

  @Field(() => Int, {
    description: `Width of the masks in pixels: that of the image that was sent, after its EXIF orientation is applied, or less if it has more than ${MAX_MASK_PIXELS} pixels, more than ${MAX_MASK_VALUES} pixels times labels, or more than ${MAX_RUN_LENGTHS} run lengths.`,
  })
  width: number;

  @Field(() => Int, { description: 'Height of the masks in pixels.' })
  height: number;

  @Cost({ elements: (_, { prediction }) => prediction.labels })
  @Field(() => [MaskType], { description: "Masks of the classes that occur, in the order of the version's labels." })
  items(): MaskType[] {
    const { predictionId, answer } = this;
    return answer.items.map((mask, index) => new MaskType(mask, { predictionId, index, size: answer }));
  }
}
