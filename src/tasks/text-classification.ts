/** Assigns classes to a text. Pipeline `text-classification` of Hugging Face. */
import { defineTask, oneRow } from './define-task.js';
import { scoresHead } from './score-head.js';
import { classificationOutputs, postprocessScores } from './scores.js';
import { encodeWithin, sequenceOf, tensorsOf, tokenBudget, tokenizerOf, truncate } from './sequences.js';
import { architectureOf } from './sources.js';
import { stringTensor, textExamples, textInput } from './text.js';

export const textClassification = defineTask({
  name: 'TEXT_CLASSIFICATION',
  description: 'Assigns classes to a text.',
  reads: [textInput],
  part: 'text',
  answers: ['classification'],
  hasLabels: true,
  tokens: { longInputs: 'truncate' },
  recognizes: (files) => /ForSequenceClassification$/.test(architectureOf(files)),
  head: scoresHead,
  outputs: classificationOutputs,
  examples: textExamples,
  async preprocess({ text }, spec, tools) {
    const postprocess = (outputs: Parameters<typeof postprocessScores>[0]) => postprocessScores(outputs, spec);
    if (!spec.text) return oneRow(stringTensor(text, spec), postprocess);
    const tokenizer = tokenizerOf(tools);
    const budget = tokenBudget(spec.text, tokenizer.single);
    const { truncates } = spec.text;
    const encoded = await encodeWithin(tokenizer, text, budget, truncates);
    const sequence = sequenceOf(tokenizer.single, truncate(encoded, budget, truncates));
    return oneRow(tensorsOf(spec, sequence, tokenizer), postprocess, encoded.ids.length > budget);
  },
  postprocess: postprocessScores,
});
