/** The keys of preprocessor_config.json that the service reads. */
import { z } from 'zod';
import { listOf } from './schemas.js';

const imageSizeSchema = z.union([
  z.number(),
  z.looseObject({
    height: z.number().optional(),
    width: z.number().optional(),
    shortest_edge: z.number().optional(),
    longest_edge: z.number().nullish(),
    max_height: z.number().optional(),
    max_width: z.number().optional(),
  }),
]);

export const preprocessorSchema = z.looseObject({
  image_processor_type: z.string().nullish(),
  feature_extractor_type: z.string().nullish(),
  do_resize: z.boolean().nullish(),
  size: imageSizeSchema.nullish(),
  max_size: z.number().nullish(),
  resample: z.number().nullish(),
  do_center_crop: z.boolean().nullish(),
  crop_size: imageSizeSchema.nullish(),
  crop_pct: z.number().nullish(),
  include_top: z.boolean().nullish(),
  rescale_offset: z.boolean().nullish(),
  do_rescale: z.boolean().nullish(),
  rescale_factor: z.number().nullish(),
  do_normalize: z.boolean().nullish(),
  image_mean: listOf(z.number()).nullish(),
  image_std: listOf(z.number()).nullish(),
  do_flip_channel_order: z.boolean().nullish(),
  do_pad: z.boolean().nullish(),
  pad_size: imageSizeSchema.nullish(),
  keep_aspect_ratio: z.boolean().nullish(),
  ensure_multiple_of: z.number().nullish(),
  size_divisor: z.number().nullish(),
});
export type Preprocessor = z.infer<typeof preprocessorSchema>;
export type ImageSize = z.infer<typeof imageSizeSchema>;
