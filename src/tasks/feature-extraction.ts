/** Text embeddings, and the similarity of texts computed from them. Pipeline `feature-extraction` of Hugging Face. */
import { defineTask } from './define-task.js';
import {
  postprocessEmbedding,
  preprocessEmbedding,
  promptedTextInput,
  similarityInput,
  textEmbeddingHead,
} from './embedding.js';
import { onlyOutput } from './scores.js';
import { isBaseModel } from './sources.js';
import { postprocessTensors } from './tensor-outputs.js';
import { textExamples, textInput } from './text.js';

export const featureExtraction = defineTask({
  name: 'FEATURE_EXTRACTION',
  description: 'Computes the embedding of a text.',
  reads: [textInput, promptedTextInput, similarityInput],
  part: 'text',
  answers: ['embedding', 'similarities'],
  tokens: { longInputs: 'truncate', hasPrompts: true, embeds: true },
  recognizes: (files) => isBaseModel(files) && files.tokenizer !== null && files.preprocessor === null,
  head: textEmbeddingHead,
  outputs: onlyOutput,
  examples: textExamples,
  preprocess: preprocessEmbedding,
  // For token ids sent as tensors, the number of tokens to pool over is not known.
  postprocess: (outputs, spec) => (spec.text ? postprocessTensors(outputs) : postprocessEmbedding(outputs, spec)),
});
