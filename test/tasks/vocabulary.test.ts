/**
 * The schema covers the task specifications of Hugging Face (`@huggingface/tasks`): each field of their inputs and outputs
 * has a field in the schema, or is left out for a reason given here.
 */
import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { PIPELINE_TYPES } from '@huggingface/tasks';
import { type GraphQLSchema, getNamedType, isInputObjectType, isObjectType } from 'graphql';
import { createSchema } from '#src/api/schema.js';
import { TASKS, taskNamed } from '#src/tasks/tasks.js';

const SPECS = path.join(
  path.dirname(createRequire(import.meta.url).resolve('@huggingface/tasks/package.json')),
  'src/tasks',
);

/** For each field of a specification: `Type.field` or `Type.field(argument)` of the schema, or why there is none. */
type Places = Readonly<Record<string, string | { readonly without: string }>>;

const CLASSES: Places = { label: 'ClassScore.label', score: 'ClassScore.score' };
const FUNCTION = {
  without: "the model's own activation is always applied, so that scores of a version are comparable",
};
const TOP_K = 'Classification.classes(first)';

const PLACES: Readonly<Record<string, { readonly input: Places; readonly output: Places }>> = {
  'text-classification': {
    input: { inputs: 'ModelInput.text', function_to_apply: FUNCTION, top_k: TOP_K },
    output: CLASSES,
  },
  'token-classification': {
    input: {
      inputs: 'ModelInput.text',
      aggregation_strategy: 'Tokens.items(aggregation)',
      ignore_labels: { without: '"O" is always ignored' },
      stride: { without: 'the overlap of windows is a setting of the version' },
    },
    output: {
      entity_group: 'LabelledSpan.label',
      entity: 'LabelledSpan.label',
      score: 'LabelledSpan.score',
      word: 'LabelledSpan.word',
      start: 'LabelledSpan.start',
      end: 'LabelledSpan.end',
    },
  },
  'feature-extraction': {
    input: {
      inputs: 'ModelInput.text',
      normalize: { without: 'a setting of the version, so that its embeddings are comparable' },
      prompt_name: 'PromptedTextInput.prompt',
      truncate: { without: 'long texts are always truncated; see Prediction.truncated' },
      truncation_direction: { without: 'the end is always cut off' },
    },
    output: {},
  },
  'sentence-similarity': {
    input: { source_sentence: 'SimilarityInput.source', sentences: 'SimilarityInput.sentences' },
    output: {},
  },
  'zero-shot-classification': {
    input: {
      inputs: 'ZeroShotInput.text',
      candidate_labels: 'ZeroShotInput.labels',
      hypothesis_template: 'ZeroShotInput.hypothesisTemplate',
      multi_label: 'ZeroShotInput.multiLabel',
    },
    output: CLASSES,
  },
  'fill-mask': {
    input: {
      inputs: 'ModelInput.text',
      top_k: 'Fillings.items(first)',
      targets: { without: 'the 20 best fillings are returned' },
    },
    output: {
      sequence: 'Filling.sequence',
      score: 'Filling.score',
      token: 'Filling.token',
      token_str: 'Filling.text',
    },
  },
  'question-answering': {
    input: {
      question: 'QuestionInput.question',
      context: 'QuestionInput.context',
      handle_impossible_answer: 'QuestionInput.handleImpossibleAnswer',
      top_k: { without: 'only the best answer is returned' },
      doc_stride: { without: 'a setting of the version' },
      max_seq_len: { without: 'a setting of the version' },
      max_question_len: { without: 'half of the sequence' },
      max_answer_len: { without: 'always 15 tokens' },
      align_to_words: { without: 'always' },
    },
    output: { answer: 'Answer.text', score: 'Answer.score', start: 'Answer.start', end: 'Answer.end' },
  },
  'image-classification': {
    input: { inputs: 'ImageInput.base64', function_to_apply: FUNCTION, top_k: TOP_K },
    output: CLASSES,
  },
  'object-detection': {
    input: { inputs: 'ImageInput.base64', threshold: 'Detections.items(threshold)' },
    output: {
      label: 'DetectedObject.label',
      score: 'DetectedObject.score',
      xmin: 'Box.xmin',
      ymin: 'Box.ymin',
      xmax: 'Box.xmax',
      ymax: 'Box.ymax',
      box: 'DetectedObject.box',
    },
  },
  'image-to-text': {
    input: {
      inputs: 'ImageInput.base64',
      max_new_tokens: { without: 'a model of this task recognizes the characters that it sees, and generates none' },
      generation_parameters: { without: 'a model of this task generates no text' },
    },
    output: { generated_text: 'Text.text' },
  },
  'image-segmentation': {
    input: {
      inputs: 'ImageInput.base64',
      mask_threshold: { without: 'each pixel gets its best class' },
      overlap_mask_area_threshold: { without: 'masks of semantic segmentation do not overlap' },
      subtask: { without: 'a model of this task does semantic segmentation' },
      threshold: { without: 'classes of pixels have no score' },
    },
    output: {
      label: 'Mask.label',
      mask: 'Mask.runLengths',
      score: { without: 'classes of pixels have no score' },
    },
  },
};
const WITHOUT_SPEC = [
  'image-feature-extraction',
  'tabular-classification',
  'tabular-regression',
  'text-ranking',
  // Not tasks of Hugging Face.
  'file-classification',
  'tensor',
];

const schema = createSchema();

function specOf(task: string, side: 'input' | 'output'): unknown {
  return JSON.parse(readFileSync(path.join(SPECS, task, 'spec', `${side}.json`), 'utf8'));
}

const COMMON = JSON.parse(readFileSync(path.join(SPECS, 'common-definitions.json'), 'utf8'));

/** Names of all properties of a specification, including nested objects and referenced definitions. */
function fieldsOf(spec: unknown): Set<string> {
  const names = new Set<string>();
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    const { properties, $ref } = node as { properties?: Record<string, unknown>; $ref?: string };
    for (const [name, value] of Object.entries(properties ?? {})) if (!isGroup(name, value)) names.add(name);
    if ($ref?.includes('ClassificationOutput') && !$ref.includes('Transform'))
      visit(COMMON.definitions.ClassificationOutput);
    for (const value of Object.values(node)) visit(value);
  };
  visit(spec);
  return names;
}

/** Whether a property only groups others: `parameters`, and `inputs` if it is an object. */
function isGroup(name: string, value: unknown): boolean {
  return name === 'parameters' || (name === 'inputs' && (value as { type?: string }).type === 'object');
}

function exists(schema: GraphQLSchema, place: string): boolean {
  const [, typeName = '', fieldName = '', argument] = /^(\w+)\.(\w+)(?:\((\w+)\))?$/.exec(place) ?? [];
  const type = schema.getType(typeName);
  if (!isObjectType(type) && !isInputObjectType(type)) return false;
  const field = type.getFields()[fieldName];
  if (!field || !getNamedType(field.type)) return false;
  return argument === undefined || ('args' in field && field.args.some(({ name }) => name === argument));
}

test('every task is compared with its specification, or has none', () => {
  const ours = TASKS.map((task) => task.toLowerCase().replaceAll('_', '-'));

  expect([...Object.keys(PLACES), ...WITHOUT_SPEC].sort()).toEqual(ours.sort());
});

test('the names of tasks are those of the Hub, unless the task says that the Hub has none', () => {
  const onHub = TASKS.filter((task) => taskNamed(task).isOnHub !== false);
  const named = onHub.map((task) => task.toLowerCase().replaceAll('_', '-'));

  expect(named.filter((name) => !(PIPELINE_TYPES as readonly string[]).includes(name))).toEqual([]);
  expect(TASKS.length - onHub.length).toBe(2);
});

describe.each(Object.keys(PLACES))('%s', (task) => {
  test.each(['input', 'output'] as const)('each field of the %s has a field in the schema, or a reason', (side) => {
    const places = (PLACES[task] as (typeof PLACES)[string])[side];

    expect([...fieldsOf(specOf(task, side))].sort()).toEqual(Object.keys(places).sort());
    const missing = Object.values(places).filter((place) => typeof place === 'string' && !exists(schema, place));
    expect(missing).toEqual([]);
  });
});
