import { Ctx, FieldResolver, Resolver, Root } from 'type-graphql';
import { allows } from '../access/policy.js';
import type { PredictionContext } from './loaders.js';
import { MaskType } from './mask.type.js';
import { Picture } from './picture.type.js';
import { maskName, type PictureUrls } from './picture-urls.js';

@Resolver(() => MaskType)
export class MaskResolver {
  constructor(private readonly urls: PictureUrls) {}

  @FieldResolver(() => Picture, {
    nullable: true,
    description:
      'The mask as a PNG of the size of the masks: white where the class is, and transparent elsewhere. `maxSize` does not change it. Null if the prediction is not stored, or you may not read predictions.',
  })
  picture(@Root() mask: MaskType, @Ctx() { principal }: PredictionContext): Picture | null {
    const { predictionId, index, size } = mask.place;
    if (predictionId === null || !allows('history', principal)) return null;
    const address = { id: predictionId, name: maskName(index), maxSize: 0 };
    return new Picture({ ...size, mediaType: 'image/png' }, () => this.urls.of(principal, address));
  }
}
