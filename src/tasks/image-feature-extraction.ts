/** An embedding of an image. */
import { defineTask, oneRow } from './define-task.js';
import { type EmbeddingHead, postprocessEmbedding } from './embedding.js';
import { imageExamples, imageInput, preprocessImage } from './image.js';
import { onlyOutput } from './scores.js';
import { isBaseModel, pickOutput, type TaskSources } from './sources.js';

export const imageFeatureExtraction = defineTask({
  name: 'IMAGE_FEATURE_EXTRACTION',
  description: 'Computes the embedding of an image.',
  reads: [imageInput],
  part: 'image',
  recognizes: (files) => isBaseModel(files) && files.preprocessor !== null && files.tokenizer === null,
  head: imageEmbeddingHead,
  outputs: onlyOutput,
  examples: imageExamples,
  async preprocess(item, spec, tools) {
    const { tensors } = await preprocessImage(item, spec, tools);
    return oneRow(tensors, (outputs) => postprocessEmbedding(outputs, spec));
  },
  postprocess: postprocessEmbedding,
});

const POOLED_OUTPUTS = ['image_embeds', 'pooler_output', 'embeddings'];

/** A vector that the graph has pooled itself, else that of the first token, else the mean over all places. */
function imageEmbeddingHead(sources: TaskSources): EmbeddingHead {
  const { output, facts } = sources;
  const normalize = output.normalize ?? false;
  const named = facts.outputs.find(({ name }) => name === output.vector);
  const ready = POOLED_OUTPUTS.map((usual) => facts.outputs.find(({ name }) => name === usual)).find(Boolean);
  const chosen = named ?? (output.vector === undefined ? ready : undefined);
  if (chosen && chosen.shape.length !== 3) return { kind: 'vector', output: chosen.name, pooling: 'none', normalize };
  const rank = facts.outputs.some(({ shape }) => shape.length === 3) ? 3 : 2;
  const found = chosen ?? pickOutput(sources, 'vector', ['last_hidden_state'], rank);
  return { kind: 'vector', output: found.name, pooling: output.pooling ?? 'cls', normalize };
}
