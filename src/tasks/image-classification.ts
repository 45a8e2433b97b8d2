/** Assigns classes to an image. Pipeline `image-classification` of Hugging Face. */
import { defineTask, oneRow } from './define-task.js';
import { imageExamples, imageInput, preprocessImage } from './image.js';
import { scoresHead } from './score-head.js';
import { classificationOutputs, postprocessScores } from './scores.js';
import { architectureOf } from './sources.js';

export const imageClassification = defineTask({
  name: 'IMAGE_CLASSIFICATION',
  description: 'Assigns classes to an image.',
  reads: [imageInput],
  part: 'image',
  answers: ['classification'],
  hasLabels: true,
  recognizes: (files) => /ForImageClassification(WithTeacher)?$/.test(architectureOf(files)),
  head: scoresHead,
  outputs: classificationOutputs,
  examples: imageExamples,
  async preprocess(item, spec, tools) {
    const { tensors } = await preprocessImage(item, spec, tools);
    return oneRow(tensors, (outputs) => postprocessScores(outputs, spec));
  },
  postprocess: postprocessScores,
  answersInServer: true,
});
