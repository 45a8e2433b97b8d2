/** Image embeddings. Pipeline `image-feature-extraction` of Hugging Face. */
import { defineTask, oneRow } from './define-task.js';
import { postprocessEmbedding } from './embedding.js';
import { imageExamples, imageInput, preprocessImage } from './image.js';
import type { EmbeddingHead } from './pooling.js';
import { onlyOutput } from './scores.js';
import { isBaseModel, pickOutput, type TaskSources } from './sources.js';

export const imageFeatureExtraction = defineTask({
  name: 'IMAGE_FEATURE_EXTRACTION',
  description: 'Computes the embedding of an image.',
  reads: [imageInput],
  part: 'image',
  answers: ['embedding'],
  recognizes: (files) => isBaseModel(files) && files.preprocessor !== null && files.tokenizer === null,
  head: imageEmbeddingHead,
  outputs: onlyOutput,
  examples: imageExamples,
  async preprocess(item, spec, tools) {
    const { tensors } = await preprocessImage(item, spec, tools);
    return oneRow(tensors, (outputs) => postprocessEmbedding(outputs, spec));
  },
  postprocess: postprocessEmbedding,
  answersInServer: true,
});

const POOLED_OUTPUTS = ['image_embeds', 'pooler_output', 'embeddings'];

/**
 * Prefers an output that the graph has already pooled. Otherwise the embedding is that of the first token (unless
 * model.yaml sets `output.pooling`), or, for a feature map, the mean over its positions.
 */
function imageEmbeddingHead(sources: TaskSources): EmbeddingHead {
  const { output, facts } = sources;
  const normalize = output.normalize ?? false;
  const named = facts.outputs.find(({ name }) => name === output.vector);
  const pooled = POOLED_OUTPUTS.map((usual) => facts.outputs.find(({ name }) => name === usual)).find(Boolean);
  const chosen = named ?? (output.vector === undefined ? pooled : undefined);
  if (chosen && chosen.shape.length !== 3) return { kind: 'vector', output: chosen.name, pooling: 'none', normalize };
  const rank = facts.outputs.some(({ shape }) => shape.length === 3) ? 3 : 2;
  const { name } = chosen ?? pickOutput(sources, 'vector', ['last_hidden_state'], rank);
  return { kind: 'vector', output: name, pooling: output.pooling ?? 'cls', normalize };
}
