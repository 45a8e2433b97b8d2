/** Image processors whose resize rules differ from the others. */
import { imageSpecOfPreprocessor } from '#src/importing/preprocessor.js';

test.each([
  [{ feature_extractor_type: 'LevitFeatureExtractor', size: 224 }, 256, 224],
  [{ image_processor_type: 'LevitImageProcessor', size: { shortest_edge: 32 }, crop_size: 24 }, 36, 24],
])('LeViT resizes to 256 / 224 of the size, then crops: %j', (preprocessor, edge, crop) => {
  expect(imageSpecOfPreprocessor(preprocessor, false)).toMatchObject({
    resize: { kind: 'shortest', edge, longest: null },
    crop: { width: crop, height: crop },
  });
});
