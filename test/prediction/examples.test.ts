/** The example in a signature can be sent unchanged, and the model gets it clearly right. */
import { readFileSync } from 'node:fs';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { clearAnswerOf } from '../support/clear-answers.js';

const READ_SIGNATURES = readFileSync('schema/operations/13-read-signatures.graphql', 'utf8');
const ANY_ANSWER = readFileSync('schema/operations/14-any-answer.graphql', 'utf8');

/** What is true of the example of each card. */
const TRUTH: Readonly<Record<string, unknown>> = {
  'breast-cancer-forest': 'malignant',
  'face-detector': ['face'],
  'fashion-cnn': 'Ankle boot',
  'fashion-mlp': 'Ankle boot',
  // Grams, to within 500: the mean error of the model is 217.
  'penguin-mass': expect.closeTo(5550, -3),
  penguins: 'gentoo',
  'spam-embeddings': 'spam',
  'spam-filter': 'spam',
};

const EVERYDAY_MAILS = [
  'Lunch at noon? The meeting notes are attached.',
  'Hi, shall we meet for lunch tomorrow?',
  'Happy birthday! Hope you have a great day.',
  'Could you send me the report by Friday, please?',
  'Thank you for the lovely evening. Shall we meet again next week? Best wishes, and greetings to the kids.',
];

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

async function answerOf(model: string, input: unknown): Promise<unknown> {
  const { predict } = await app.query(ANY_ANSWER, { input: { model, input, record: false } });
  return predict.problem ?? clearAnswerOf(predict.prediction.output);
}

test('every model gets its own example clearly right', async () => {
  const { models } = await app.query(READ_SIGNATURES, { first: 100 });
  const answers = await Promise.all(
    models.nodes.map(async ({ name, version }: Data) => [name, await answerOf(name, version.signature.example)]),
  );

  expect(Object.fromEntries(answers)).toEqual(TRUTH);
});

const PREDICT = 'mutation ($input: PredictInput!) { predict(input: $input) { prediction { id } problem { message } } }';
const REPLAY = `mutation ($prediction: ID!) { replayPrediction(input: { prediction: $prediction }) {
  replay { isSame difference largestDifference tolerance } problem { message } } }`;

async function replayOf(model: string, input: unknown): Promise<Data> {
  const { predict } = await app.query(PREDICT, { input: { model, input } });
  return (await app.query(REPLAY, { prediction: predict.prediction.id })).replayPrediction;
}

test('every model answers its own example, and a long text, the same again', async () => {
  const { models } = await app.query(READ_SIGNATURES, { first: 100 });
  const inputs = models.nodes.map(({ name, version }: Data) => [name, version.signature.example]);
  const replays = await Promise.all(
    [...inputs, ['spam-filter', { text: 'Lunch at noon? '.repeat(2_000) }]].map(([name, input]) =>
      replayOf(name, input),
    ),
  );

  for (const { replay, problem } of replays) {
    expect(problem).toBeNull();
    expect(replay).toMatchObject({ isSame: true, difference: null });
    expect(replay.largestDifference).toBeLessThanOrEqual(replay.tolerance);
  }
});

test.each(['spam-filter', 'spam-embeddings'])('%s lets short everyday mails through', async (model) => {
  const answers = await Promise.all(EVERYDAY_MAILS.map((text) => answerOf(model, { text })));

  expect(answers).toEqual(EVERYDAY_MAILS.map(() => 'ham'));
});
