/** Embeddings of texts, of rows and of time series, and the similarity of texts computed from them. Pipeline `feature-extraction` of Hugging Face. */
import { defineTask, oneRow } from './define-task.js';
import {
  postprocessEmbedding,
  preprocessEmbedding,
  promptedTextInput,
  similarityInput,
  textEmbeddingHead,
} from './embedding.js';
import { onlyOutput } from './scores.js';
import { isBaseModel } from './sources.js';
import { isTabular, preprocessTabular, TABULAR_INPUTS, tabularExamples } from './tabular.js';
import { postprocessTensors } from './tensor-outputs.js';
import { readsTexts, textExamples, textInput } from './text.js';

export const featureExtraction = defineTask({
  name: 'FEATURE_EXTRACTION',
  description: 'Computes the embedding of a text, of a row of named columns, or of a time series.',
  reads: [textInput, promptedTextInput, similarityInput, ...TABULAR_INPUTS],
  part: 'text',
  answers: ['embedding', 'similarities'],
  tokens: { longInputs: 'truncate', hasPrompts: true, embeds: true },
  recognizes: (files) => isBaseModel(files) && files.tokenizer !== null && files.preprocessor === null,
  head: textEmbeddingHead,
  outputs: onlyOutput,
  examples: (spec, widget) => (readsTexts(spec) ? textExamples(spec, widget) : tabularExamples(spec)),
  preprocess: (item, spec, tools) =>
    isTabular(item)
      ? oneRow(preprocessTabular(item, spec), (outputs) => postprocessEmbedding(outputs, spec))
      : preprocessEmbedding(item, spec, tools),
  // For token ids sent as tensors, the number of tokens to pool over is not known.
  postprocess: (outputs, spec) => (spec.text ? postprocessTensors(outputs) : postprocessEmbedding(outputs, spec)),
  answersInServer: true,
});
