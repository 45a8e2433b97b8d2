/** Tiny models in the layout of the Hugging Face Hub give the answers computed by hand, alone and in batches. */
import { Buffer } from 'node:buffer';
import sharp from 'sharp';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { huggingFaceFolders } from '../support/hugging-face.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { OUTPUT, SPAN } from '../support/output-selection.js';

const PREDICT = `mutation ($input: PredictInput!) {
  predict(input: $input) { prediction { truncated ${OUTPUT} } problem { code message } }
} ${SPAN}`;
const PREDICT_MANY = `mutation ($input: PredictManyInput!) {
  predictMany(input: $input) { results { prediction { truncated ${OUTPUT} } problem { code message } } problem { code message } }
} ${SPAN}`;

/** Copies of a long text that one request may contain at its price. */
const FEW = { copies: 12 };
/** Selects little, because the price of a large input includes its output. */
const PREDICT_LARGE = `mutation ($input: PredictManyInput!) {
  predictMany(input: $input) { results { problem { code message } } problem { code message } }
}`;

const { exp } = Math;
const sigma = (x: number) => 1 / (1 + exp(-x));
const near = (x: number) => expect.closeTo(x, 5);

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  for (const [name, folder] of Object.entries(huggingFaceFolders())) await store.write(name, folder);
  app = await startTestApp({ modelStore: store.folder });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

/** Predicts alone, in a batch between `neighbors`, and in a batch of copies, and expects the same answer each time. */
async function answers(
  model: string,
  input: object,
  neighbors: readonly object[] = [],
  { copies } = { copies: 40 },
): Promise<Data> {
  const alone = (await app.query(PREDICT, { input: { model, input } })).predict;
  expect(alone.problem).toBeNull();
  for (const inputs of [[...neighbors, input, ...neighbors], Array(copies).fill(input)]) {
    const { predictMany } = await app.query(PREDICT_MANY, { input: { model, inputs } });
    const index = inputs.indexOf(input);
    expect(predictMany.results[index].prediction.output).toEqual(rounded(alone.prediction.output));
  }
  return alone.prediction;
}

test('every folder is READY with its task, signature and full batch size', async () => {
  const { models } = await app.query(
    '{ models(first: 100) { nodes { name task version { state stateReason serving { maxBatch } signature { inputKind labels multiLabel maxTokens maskToken } } } } }',
  );

  const found = Object.fromEntries(models.nodes.map(({ name, ...rest }: Data) => [name, rest]));
  expect(Object.values<Data>(found).filter(({ version }) => version.state !== 'READY')).toEqual([]);
  expect(Object.fromEntries(Object.entries<Data>(found).map(([name, { task }]) => [name, task]))).toEqual({
    'tiny-sst': 'TEXT_CLASSIFICATION',
    'tiny-topics': 'TEXT_CLASSIFICATION',
    'tiny-ner': 'TOKEN_CLASSIFICATION',
    'tiny-embed': 'FEATURE_EXTRACTION',
    'tiny-sentences': 'SENTENCE_SIMILARITY',
    'tiny-mlm': 'FILL_MASK',
    'tiny-qa': 'QUESTION_ANSWERING',
    'tiny-nli': 'ZERO_SHOT_CLASSIFICATION',
    'tiny-ranker': 'TEXT_RANKING',
    'tiny-vit': 'IMAGE_CLASSIFICATION',
    'tiny-vit-features': 'IMAGE_FEATURE_EXTRACTION',
    'tiny-yolos': 'OBJECT_DETECTION',
    'tiny-detr': 'OBJECT_DETECTION',
    'tiny-segformer': 'IMAGE_SEGMENTATION',
    'tiny-reader': 'IMAGE_TO_TEXT',
    'tiny-file-types': 'FILE_CLASSIFICATION',
  });
  expect(Object.values<Data>(found).map(({ version }) => version.serving.maxBatch)).toEqual(Array(16).fill(128));
  expect(found['tiny-topics'].version.signature).toMatchObject({ multiLabel: true, maxTokens: 64, maskToken: null });
  expect(found['tiny-sentences'].version.signature).toMatchObject({ inputKind: 'SIMILARITY', maxTokens: 32 });
  expect(found['tiny-mlm'].version.signature).toMatchObject({ inputKind: 'TEXT', maskToken: '[MASK]' });
  expect(found['tiny-vit'].version.signature.labels).toEqual(['red', 'green', 'blue']);
});

test.each([
  ['great', 'POSITIVE', sigma(6)],
  ['awful', 'NEGATIVE', sigma(6)],
  ['the movie was great', 'POSITIVE', sigma(3)],
  ['The MOVIE was Great', 'POSITIVE', sigma(3)],
  ['bad bad', 'NEGATIVE', sigma(6)],
  ['good, awful', 'NEGATIVE', sigma(1.2)],
  ['unaffable', 'NEGATIVE', 0.5],
  ['[PAD] great', 'POSITIVE', sigma(4.5)],
])('sentiment of "%s"', async (text, label, score) => {
  const { output, truncated } = await answers('tiny-sst', { text }, [{ text: 'awful awful awful' }, { text: 'bad' }]);

  const other = label === 'POSITIVE' ? 'NEGATIVE' : 'POSITIVE';
  expect(truncated).toBe(false);
  expect(output).toMatchObject({ __typename: 'Classification', label, score: near(score) });
  if (score > 0.5) {
    const classes = [
      { label, score: near(score) },
      { label: other, score: near(1 - score) },
    ];
    expect(output.classes).toEqual(classes);
  }
});

test('the scores of a multi-label model are independent', async () => {
  const { output } = await answers('tiny-topics', { text: 'Paris was great' }, [{ text: 'awful bad Berlin' }]);

  expect(output).toMatchObject({ label: 'praise', score: near(sigma(3)) });
  expect(Object.fromEntries(output.classes.map(({ label, score }: Data) => [label, score]))).toEqual({
    praise: near(sigma(3)),
    place: near(sigma(3)),
    blame: near(sigma(-3)),
  });
});

test('named entities, with each aggregation', async () => {
  const text = 'Berlin 💥, new York! Paris Parisable';
  const { output } = await answers('tiny-ner', { text }, [{ text: 'the' }, { text: 'paris '.repeat(20) }]);

  const score = near(exp(5) / (exp(5) + 2));
  const span = (word: string, label: string, from = 0) => {
    const start = text.indexOf(word, from);
    return { label, score, word, start, end: start + word.length };
  };
  expect(output.none).toEqual([
    span('Berlin', 'B-LOC'),
    span('new', 'B-LOC'),
    span('York', 'I-LOC'),
    span('Paris', 'B-LOC'),
    span('Paris', 'B-LOC', text.indexOf('Parisable')),
  ]);
  const [berlin, newYork, paris] = [span('Berlin', 'LOC'), span('new York', 'LOC'), span('Paris', 'LOC')];
  expect(output.simple).toEqual([berlin, newYork, paris, span('Paris', 'LOC', text.indexOf('Parisable'))]);
  expect(output.first).toEqual([berlin, newYork, paris, span('Parisable', 'LOC')]);
  expect(output.average).toEqual([berlin, newYork, paris]);
  expect(output.max).toEqual([berlin, newYork, paris]);
});

test('the embedding of a text is the mean of its token embeddings', async () => {
  const { output } = await answers('tiny-embed', { text: 'great paris' }, [{ text: 'good' }]);

  expect(output).toMatchObject({ __typename: 'Embedding', dimensions: 3, vector: [near(0.75), near(1), near(1.25)] });
  expect(Array.from(new Float32Array(Uint8Array.from(Buffer.from(output.vectorBase64, 'base64')).buffer))).toEqual(
    output.vector,
  );
});

test('a sentence-transformers model gives normalized embeddings and cosine similarities', async () => {
  const embedding = await answers('tiny-sentences', { text: 'great' }, [{ text: 'a good film of paris' }]);
  const zero = await answers('tiny-sentences', { text: 'the film' });
  const similarity = { source: 'great', sentences: ['good', 'paris', 'great, great!', 'great paris', 'the film'] };
  const similarities = await answers('tiny-sentences', { similarity }, [
    { similarity: { source: 'a', sentences: ['b'] } },
  ]);

  expect(embedding.output.vector).toEqual([near(0.6), near(0.8), 0]);
  expect(zero.output.vector).toEqual([0, 0, 0]);
  expect(similarities.output.scores).toEqual([near(0.96), near(0), near(1), near(5 / Math.sqrt(50)), 0]);
});

test('words for the mask', async () => {
  const neighbors = [{ text: '[MASK]' }, { text: `${'germany '.repeat(30)}[MASK]` }];
  const { output } = await answers('tiny-mlm', { text: '[MASK] is the capital of France.' }, neighbors);

  const others = exp(8) + 110;
  expect(output.fillings).toHaveLength(20);
  expect(output.fillings[0]).toEqual({
    token: 101,
    text: 'paris',
    score: near(exp(8) / others),
    sequence: 'paris is the capital of France.',
  });
  expect(output.fillings[1].score).toEqual(near(1 / others));
});

test('the answer to a question, or that the context contains none', async () => {
  const ask = (question: string, context: string, options = {}) =>
    answers('tiny-qa', { question: { question, context, ...options } }, [
      { question: { question: 'film?', context: 'new york' } },
    ]);
  const single = await ask('capital of France?', 'Paris is the capital');
  const twoWords = await ask('film?', '💥 it is New York, not Paris');
  const none = await ask('capital of France?', 'the movie was great');
  const forced = await ask('capital of France?', 'the movie was great', { handleImpossibleAnswer: false });

  const square = (x: number) => near(x * x);
  expect(single.output).toMatchObject({ __typename: 'Answer', text: 'Paris', start: 0, end: 5 });
  expect(single.output.answerScore).toEqual(square(exp(8) / (exp(8) + exp(4) + 3)));
  expect(twoWords.output).toMatchObject({ text: 'New York', start: 9, end: 17 });
  expect(none.output).toMatchObject({ text: null, start: null, end: null });
  expect(none.output.answerScore).toEqual(square(exp(4) / (exp(4) + 4)));
  expect(forced.output).toMatchObject({ text: 'the', answerScore: square(1 / (exp(4) + 4)), start: 0, end: 3 });
});

test('an answer at the end of a long context is found, with its offsets', async () => {
  const context = `${'the movie was great. '.repeat(60)}It is Paris`;
  const { output, truncated } = await answers('tiny-qa', { question: { question: 'France?', context } }, [], FEW);

  expect(truncated).toBe(false);
  expect(output).toMatchObject({ text: 'Paris', start: context.length - 5, end: context.length });
});

test('zero-shot classification, with one and with several labels', async () => {
  const zeroShot = { text: 'the movie', labels: ['travel', 'film', 'food'] };
  const neighbors = [{ zeroShot: { text: 'paris', labels: ['film', 'travel'] } }];
  const one = await answers('tiny-nli', { zeroShot }, neighbors);
  const several = await answers('tiny-nli', { zeroShot: { ...zeroShot, multiLabel: true } }, neighbors);

  const scores = ({ output }: Data) =>
    Object.fromEntries(output.classes.map(({ label, score }: Data) => [label, score]));
  expect(one.output.label).toBe('film');
  const sum = exp(4) + 2;
  expect(scores(one)).toEqual({ film: near(exp(4) / sum), travel: near(1 / sum), food: near(1 / sum) });
  expect(several.output.label).toBe('film');
  expect(scores(several)).toEqual({ film: near(sigma(8)), travel: near(0.5), food: near(0.5) });
});

test('of a text and a hypothesis that are too long together, only the text is truncated', async () => {
  const labels = ['travel', 'film'];
  const hypothesis = (words: number) => `${'the '.repeat(words)}{}`;
  const fits = { text: 'the movie', labels, hypothesisTemplate: hypothesis(40) };
  const isLong = { text: `movie${' the'.repeat(50)} paris`, labels, hypothesisTemplate: hypothesis(40) };
  const isTooLong = { text: 'movie', labels, hypothesisTemplate: hypothesis(70) };

  const film = { label: 'film', score: near(sigma(4)) };
  expect(await answers('tiny-nli', { zeroShot: fits })).toMatchObject({ output: film, truncated: false });
  expect(await answers('tiny-nli', { zeroShot: isLong })).toMatchObject({ output: film, truncated: true });
  expect(await answers('tiny-nli', { zeroShot: isTooLong })).toMatchObject({
    output: { score: near(0.5) },
    truncated: true,
  });
});

test('documents are ranked, best first, those with equal scores in the order of the input', async () => {
  const ranking = { query: 'the movie', documents: ['film', 'paris', 'film film', 'the film'] };
  const neighbors = [{ ranking: { query: 'paris', documents: ['travel', 'film'] } }, { text: 'film' }];

  const { output } = await answers('tiny-ranker', { ranking }, neighbors);

  const scored = (index: number, score: number) => ({ index, text: ranking.documents[index], score: near(score) });
  expect(output).toEqual({
    __typename: 'Ranking',
    ranked: [scored(2, sigma(6)), scored(0, sigma(2)), scored(3, sigma(2)), scored(1, sigma(-2))],
  });
});

test('a ranking model scores a text by itself', async () => {
  const { output } = await answers('tiny-ranker', { text: 'film' }, [{ ranking: { query: 'a', documents: ['b'] } }]);

  expect(output).toMatchObject({ __typename: 'Classification', label: 'LABEL_0', score: near(sigma(-2)) });
});

describe('images', () => {
  test('are classified', async () => {
    const green = { image: { base64: await solidImage(40, 30, [10, 250, 10]) } };

    const { output } = await answers('tiny-vit', green, [await white()]);

    expect(output).toMatchObject({ label: 'green', score: near(1 / (1 + 2 * exp((-8 * 240) / 255))) });
  });

  test('have an embedding', async () => {
    const pink = { image: { base64: await solidImage(17, 64, [255, 0, 51]) } };

    const { output } = await answers('tiny-vit-features', pink, [await white()]);

    expect(output.vector).toEqual([near(1), near(-1), near(-0.6)]);
  });

  test.each(['tiny-yolos', 'tiny-detr'])(
    '%s detects an object, with its box in pixels of the image sent',
    async (model) => {
      const wide = { image: { base64: await solidImage(640, 480, [1, 2, 3]) } };

      const { output } = await answers(model, wide, [await white()]);

      const box = { xmin: near(192), ymin: near(192), xmax: near(448), ymax: near(288) };
      expect(output.items).toEqual([
        { label: 'cat', score: near(exp(5) / (exp(5) + 2)), box: expect.objectContaining(box) },
      ]);
    },
  );

  const white = async () => ({ image: { base64: await solidImage(9, 9, [255, 255, 255]) } });
});

test('only the beginning of a text that is too long is read, and Prediction.truncated is true', async () => {
  const long = `great ${'the '.repeat(200)}awful`;
  const { truncated, output } = await answers('tiny-sst', { text: long });
  const fits = await answers('tiny-sst', { text: `great ${'the '.repeat(61)}` });

  expect(truncated).toBe(true);
  expect(output).toMatchObject({ label: 'POSITIVE', score: near(sigma((2 * 9) / 64)) });
  expect(fits).toMatchObject({ truncated: false, output: { score: near(sigma((2 * 9) / 64)) } });

  for (const [model, input] of Object.entries({
    'tiny-sentences': { similarity: { source: 'good', sentences: ['great', long] } },
    'tiny-embed': { text: long },
    'tiny-mlm': { text: `[MASK] ${long}` },
    'tiny-nli': { zeroShot: { text: long, labels: ['film'] } },
    'tiny-ranker': { ranking: { query: 'good', documents: ['great', long] } },
  }))
    expect([model, (await answers(model, input)).truncated]).toEqual([model, true]);
});

test('token classification labels the whole of a long text', async () => {
  const text = `${'the movie '.repeat(150)}Paris ${'was great '.repeat(150)}Berlin`;
  const { truncated, output } = await answers('tiny-ner', { text }, [], FEW);

  expect(truncated).toBe(false);
  expect(output.simple.map(({ word, start }: Data) => [word, start])).toEqual([
    ['Paris', 1_500],
    ['Berlin', 3_006],
  ]);
});

test('a large input after many small ones is answered, and no worker is restarted', async () => {
  const workers = async () => {
    const { engine } = await app.query('{ engine { workers { pid restarts } } }');
    return engine.workers;
  };
  const before = await workers();
  // The same number of characters, but a single unknown word, and so a single token.
  const oneWord = { text: 'a'.repeat(99_999) };
  const many = [{ text: '##c'.repeat(33_333) }];
  const small = { image: { base64: await solidImage(4, 4, [0, 0, 0]) } };
  const large = Array(3).fill({ image: { base64: await solidImage(5_000, 5_000, [0, 0, 255]) } });

  for (const [model, smallInput, inputs] of [
    ['tiny-ner', oneWord, many],
    ['tiny-vit', small, large],
  ] as const) {
    for (let i = 0; i < 15; i++) await app.query(PREDICT_LARGE, { input: { model, inputs: [smallInput] } });
    const { predictMany } = await app.query(PREDICT_LARGE, { input: { model, inputs, deadlineMs: 60_000 } });
    expect(predictMany.results.map(({ problem }: Data) => problem)).toEqual(inputs.map(() => null));
  }

  expect(await workers()).toEqual(before);
});

async function solidImage(width: number, height: number, [r = 0, g = 0, b = 0]: readonly number[]): Promise<string> {
  const image = sharp({ create: { width, height, channels: 3, background: { r, g, b } } });
  return (await image.png().toBuffer()).toString('base64');
}

/** Numbers with a tolerance: sums of floats can differ in their last digits from run to run. */
function rounded(value: Data): Data {
  if (typeof value === 'number') return Number.isInteger(value) ? value : near(value);
  if (typeof value === 'string') return /^[\w+/]{8,}=*$/.test(value) ? expect.any(String) : value;
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, rounded(one)]));
}
