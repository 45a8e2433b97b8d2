/** Folders as they lie on the Hugging Face Hub answer what pencil and paper say, alone and in company. */
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

/** Asked alone, in a batch between others, and in a batch that is all the same. */
async function answers(model: string, input: object, mates: readonly object[] = []): Promise<Data> {
  const alone = (await app.query(PREDICT, { input: { model, input } })).predict;
  expect(alone.problem).toBeNull();
  for (const inputs of [[...mates, input, ...mates], Array(40).fill(input)]) {
    const { predictMany } = await app.query(PREDICT_MANY, { input: { model, inputs } });
    const place = inputs.indexOf(input);
    expect(predictMany.results[place].prediction.output).toEqual(rounded(alone.prediction.output));
  }
  return alone.prediction;
}

test('every folder is READY with its task, and its inputs share runs', async () => {
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
    'tiny-vit': 'IMAGE_CLASSIFICATION',
    'tiny-vit-features': 'IMAGE_FEATURE_EXTRACTION',
    'tiny-yolos': 'OBJECT_DETECTION',
    'tiny-detr': 'OBJECT_DETECTION',
  });
  expect(Object.values<Data>(found).map(({ version }) => version.serving.maxBatch)).toEqual(Array(12).fill(128));
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

test('several labels at once, each for itself', async () => {
  const { output } = await answers('tiny-topics', { text: 'Paris was great' }, [{ text: 'awful bad Berlin' }]);

  expect(output).toMatchObject({ label: 'praise', score: near(sigma(3)) });
  expect(Object.fromEntries(output.classes.map(({ label, score }: Data) => [label, score]))).toEqual({
    praise: near(sigma(3)),
    place: near(sigma(3)),
    blame: near(sigma(-3)),
  });
});

test('what is named in a text, and where', async () => {
  const text = 'Berlin 💥, new York! Paris Parisable';
  const { output } = await answers('tiny-ner', { text }, [{ text: 'the' }, { text: 'paris '.repeat(20) }]);

  const sure = near(exp(5) / (exp(5) + 2));
  const span = (word: string, label: string, from = 0) => {
    const start = text.indexOf(word, from);
    return { label, score: sure, word, start, end: start + word.length };
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

test('the vector of a text is the mean of its tokens', async () => {
  const { output } = await answers('tiny-embed', { text: 'great paris' }, [{ text: 'good' }]);

  expect(output).toMatchObject({ __typename: 'Embedding', dimensions: 3, vector: [near(0.75), near(1), near(1.25)] });
  expect(Array.from(new Float32Array(Uint8Array.from(Buffer.from(output.vectorBase64, 'base64')).buffer))).toEqual(
    output.vector,
  );
});

test('a model of sentences gives vectors of length one, and cosines', async () => {
  const vector = await answers('tiny-sentences', { text: 'great' }, [{ text: 'a good film of paris' }]);
  const nothing = await answers('tiny-sentences', { text: 'the film' });
  const similarity = { source: 'great', sentences: ['good', 'paris', 'great, great!', 'great paris', 'the film'] };
  const near3 = await answers('tiny-sentences', { similarity }, [{ similarity: { source: 'a', sentences: ['b'] } }]);

  expect(vector.output.vector).toEqual([near(0.6), near(0.8), 0]);
  expect(nothing.output.vector).toEqual([0, 0, 0]);
  expect(near3.output.scores).toEqual([near(0.96), near(0), near(1), near(5 / Math.sqrt(50)), 0]);
});

test('a word for the open place', async () => {
  const mates = [{ text: '[MASK]' }, { text: `${'germany '.repeat(30)}[MASK]` }];
  const { output } = await answers('tiny-mlm', { text: '[MASK] is the capital of France.' }, mates);

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

test('the answer to a question, or that the text holds none', async () => {
  const ask = (question: string, context: string, more = {}) =>
    answers('tiny-qa', { question: { question, context, ...more } }, [
      { question: { question: 'film?', context: 'new york' } },
    ]);
  const found = await ask('capital of France?', 'Paris is the capital');
  const two = await ask('film?', '💥 it is New York, not Paris');
  const none = await ask('capital of France?', 'the movie was great');
  const forced = await ask('capital of France?', 'the movie was great', { handleImpossibleAnswer: false });

  const square = (x: number) => near(x * x);
  expect(found.output).toMatchObject({ __typename: 'Answer', text: 'Paris', start: 0, end: 5 });
  expect(found.output.answerScore).toEqual(square(exp(8) / (exp(8) + exp(4) + 3)));
  expect(two.output).toMatchObject({ text: 'New York', start: 9, end: 17 });
  expect(none.output).toMatchObject({ text: null, start: null, end: null });
  expect(none.output.answerScore).toEqual(square(exp(4) / (exp(4) + 4)));
  expect(forced.output).toMatchObject({ text: 'the', answerScore: square(1 / (exp(4) + 4)), start: 0, end: 3 });
});

test('an answer far behind in a long text is found where it stands', async () => {
  const context = `${'the movie was great. '.repeat(60)}It is Paris`;
  const { output, truncated } = await answers('tiny-qa', { question: { question: 'France?', context } });

  expect(truncated).toBe(false);
  expect(output).toMatchObject({ text: 'Paris', start: context.length - 5, end: context.length });
});

test('labels of the caller’s own', async () => {
  const zeroShot = { text: 'the movie', labels: ['travel', 'film', 'food'] };
  const mates = [{ zeroShot: { text: 'paris', labels: ['film', 'travel'] } }];
  const one = await answers('tiny-nli', { zeroShot }, mates);
  const several = await answers('tiny-nli', { zeroShot: { ...zeroShot, multiLabel: true } }, mates);

  const scores = ({ output }: Data) =>
    Object.fromEntries(output.classes.map(({ label, score }: Data) => [label, score]));
  expect(one.output.label).toBe('film');
  const all = exp(4) + 2;
  expect(scores(one)).toEqual({ film: near(exp(4) / all), travel: near(1 / all), food: near(1 / all) });
  expect(several.output.label).toBe('film');
  expect(scores(several)).toEqual({ film: near(sigma(8)), travel: near(0.5), food: near(0.5) });
});

test('pictures: the brightest channel, its levels as a vector, and what stands where', async () => {
  const mates = [{ image: { base64: await picture(9, 9, [255, 255, 255]) } }];
  const green = { image: { base64: await picture(40, 30, [10, 250, 10]) } };
  const pink = { image: { base64: await picture(17, 64, [255, 0, 51]) } };
  const wide = { image: { base64: await picture(640, 480, [1, 2, 3]) } };

  const classified = await answers('tiny-vit', green, mates);
  expect(classified.output).toMatchObject({ label: 'green', score: near(1 / (1 + 2 * exp((-8 * 240) / 255))) });

  const { output } = await answers('tiny-vit-features', pink, mates);
  expect(output.vector).toEqual([near(1), near(-1), near(-0.6)]);

  const box = { xmin: near(192), ymin: near(192), xmax: near(448), ymax: near(288) };
  for (const model of ['tiny-yolos', 'tiny-detr']) {
    const detected = (await answers(model, wide, mates)).output;
    expect(detected.items).toEqual([
      { label: 'cat', score: near(exp(5) / (exp(5) + 2)), box: expect.objectContaining(box) },
    ]);
  }
});

test('a text that is longer than the model reads says so, and its beginning counts', async () => {
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
  }))
    expect([model, (await answers(model, input)).truncated]).toEqual([model, true]);
});

test('of a long text all is labelled', async () => {
  const text = `${'the movie '.repeat(150)}Paris ${'was great '.repeat(150)}Berlin`;
  const { truncated, output } = await answers('tiny-ner', { text });

  expect(truncated).toBe(false);
  expect(output.simple.map(({ word, start }: Data) => [word, start])).toEqual([
    ['Paris', 1_500],
    ['Berlin', 3_006],
  ]);
});

test('one large input after many small ones is answered, and costs no worker', async () => {
  const pids = async () => {
    const { engine } = await app.query('{ engine { workers { pid restarts } } }');
    return engine.workers;
  };
  const before = await pids();
  // As many characters, but a single word that nobody knows.
  const oneWord = { text: 'a'.repeat(99_999) };
  const many = [{ text: '##c'.repeat(33_333) }];
  const small = { image: { base64: await picture(4, 4, [0, 0, 0]) } };
  const large = Array(3).fill({ image: { base64: await picture(5_000, 5_000, [0, 0, 255]) } });

  for (const [model, easy, inputs] of [
    ['tiny-ner', oneWord, many],
    ['tiny-vit', small, large],
  ] as const) {
    for (let i = 0; i < 15; i++) await app.query(PREDICT, { input: { model, input: easy } });
    const { predictMany } = await app.query(PREDICT_MANY, { input: { model, inputs, deadlineMs: 60_000 } });
    expect(predictMany.results.map(({ problem }: Data) => problem)).toEqual(inputs.map(() => null));
  }

  expect(await pids()).toEqual(before);
});

async function picture(width: number, height: number, [r = 0, g = 0, b = 0]: readonly number[]): Promise<string> {
  const image = sharp({ create: { width, height, channels: 3, background: { r, g, b } } });
  return (await image.png().toBuffer()).toString('base64');
}

/** Of another run: sums of floats may differ in their last digits. */
function rounded(value: Data): Data {
  if (typeof value === 'number') return Number.isInteger(value) ? value : near(value);
  if (typeof value === 'string') return /^[\w+/]{8,}=*$/.test(value) ? expect.any(String) : value;
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, rounded(one)]));
}

test('texts that are too long in total are refused before any is read', async () => {
  const inputs = Array(11).fill({ text: 'paris '.repeat(16_000) });

  const { predictMany } = await app.query(
    `mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { replayed }
      problem { code ... on InvalidInput { problems { path code message } } } } }`,
    { input: { model: 'tiny-ner', inputs } },
  );

  expect(predictMany).toEqual({
    results: null,
    problem: {
      code: 'INVALID_INPUT',
      problems: [{ path: ['input', 'inputs'], code: 'TOO_LARGE', message: 'the texts are too long in total' }],
    },
  });
});
