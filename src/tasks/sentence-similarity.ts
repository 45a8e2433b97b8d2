/** Similarity of a source sentence to others, by default the cosine. Pipeline `sentence-similarity` of Hugging Face. */
import { defineTask } from './define-task.js';
import { preprocessEmbedding, promptedTextInput, similarityInput, textEmbeddingHead } from './embedding.js';
import { onlyOutput } from './scores.js';
import type { Example, Widget } from './spec.js';
import { isNonBlankString, textInput, widgetInputs } from './text.js';

export const sentenceSimilarity = defineTask({
  name: 'SENTENCE_SIMILARITY',
  description: 'Computes how similar sentences are to a source sentence.',
  reads: [similarityInput, textInput, promptedTextInput],
  part: 'tokens',
  answers: ['similarities', 'embedding'],
  tokens: { longInputs: 'truncate', hasPrompts: true, embeds: true },
  recognizes: ({ sentences }) => sentences !== null,
  head: textEmbeddingHead,
  outputs: onlyOutput,
  examples: similarityExamples,
  preprocess: preprocessEmbedding,
});

const DEFAULT_SIMILARITY = { source: 'The movie was great.', sentences: ['The film was good.', 'Paris is in France.'] };

function similarityExamples(_spec: unknown, widget: Widget): Example[] {
  const fromCard = widgetInputs(widget, 'source_sentence').map(({ source_sentence: source, sentences }) => ({
    source,
    sentences: Array.isArray(sentences) && sentences.every(isNonBlankString) ? sentences : DEFAULT_SIMILARITY.sentences,
  }));
  return [...fromCard, DEFAULT_SIMILARITY].map((similarity) => ({ similarity }));
}
