/** Every committed operation works against the committed models. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { buildSchema, type GraphQLUnionType, parse, visit } from 'graphql';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { clearAnswerOf } from '../support/clear-answers.js';
import { until } from '../support/until.js';

const FOLDER = 'schema/operations';
const FILES = readdirSync(FOLDER).filter((file) => file.endsWith('.graphql'));

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

function run(file: string): Promise<Data> {
  const variables = path.join(FOLDER, file.replace('.graphql', '.variables.json'));
  const given = readdirSync(FOLDER).includes(path.basename(variables))
    ? JSON.parse(readFileSync(variables, 'utf8'))
    : {};
  return app.query(readFileSync(path.join(FOLDER, file), 'utf8'), given);
}

test.each(FILES)('%s returns data without a problem', async (file) => {
  const data = await run(file);

  const [answer] = Object.values(data) as Data[];
  expect(answer).not.toBeNull();
  expect(answer.problem ?? null).toBeNull();
});

test.each(['14-any-answer.graphql', '../fragments.graphql'])('%s reads every type of the union', (file) => {
  const schema = buildSchema(readFileSync('schema/schema.graphql', 'utf8'));
  const union = schema.getType('Output') as GraphQLUnionType;
  const read = new Set<string>();
  visit(parse(readFileSync(path.join(FOLDER, file), 'utf8')), {
    InlineFragment: ({ typeCondition }) => void read.add(String(typeCondition?.name.value)),
  });

  const types = union.getTypes().map(({ name }) => name);
  expect(types.filter((name) => !read.has(name))).toEqual([]);
});

test.each([
  ['04-predict-row.graphql', 'malignant'],
  ['05-predict-image.graphql', 'Ankle boot'],
  ['06-predict-text.graphql', 'spam'],
  ['12-detect-objects.graphql', ['face']],
  // Grams, to within 500: the mean error of the model is 217.
  ['14-any-answer.graphql', expect.closeTo(5550, -3)],
])('the answer of %s is right and clear', async (file, truth) => {
  const { predict } = await run(file);

  expect(clearAnswerOf(predict.prediction.output)).toEqual(truth);
});

test('an object in an image is detected with its bounding box', async () => {
  const { predict } = await run('12-detect-objects.graphql');

  const [face] = predict.prediction.output.items;
  expect(face.label).toBe('face');
  expect(face.box.xmin).toBeLessThan(face.box.xmax);
});

test('rows are answered in columns, and a bad row fails alone', async () => {
  const { predictMany } = await run('15-score-table.graphql');

  const { labels, scores, problems } = predictMany.columns;
  expect(labels).toEqual(['adelie', 'gentoo', null]);
  expect(scores).toEqual([expect.closeTo(1, 1), expect.closeTo(1, 1), null]);
  expect(problems).toMatchObject([
    { row: 2, problem: { code: 'INVALID_INPUT', message: expect.stringContaining('input.rows.columns.beak_depth.2') } },
  ]);
});

test('one bad input of a batch fails alone', async () => {
  const { predictMany } = await run('07-predict-many.graphql');

  const answers = predictMany.results.map((r: Data) => r.problem?.code ?? clearAnswerOf(r.prediction.output));
  expect(answers).toEqual(['ham', 'INVALID_INPUT', 'spam']);
});

test('one operation answers with the explanation, the evaluation with intervals, the gate and the card', async () => {
  const target = { model: 'penguins', dataset: 'penguins-test' };
  await app.query('mutation ($input: SetGateInput!) { setGate(input: $input) { problem { message } } }', {
    input: { ...target, alias: 'champion', conditions: [{ name: 'accuracy', threshold: 0.9 }] },
  });
  const { evaluate } = await app.query(
    'mutation ($input: EvaluateInput!) { evaluate(input: $input) { evaluation { id } problem { message } } }',
    { input: { version: 'penguins', dataset: target.dataset } },
  );
  await until('the evaluation has a result', async () => {
    const state = 'query ($id: ID!) { node(id: $id) { ... on Evaluation { jobState } } }';
    return (await app.query(state, { id: evaluate.evaluation.id })).node.jobState === 'SUCCEEDED';
  });

  const { prediction } = (await run('19-answer-with-evidence.graphql')).predict;

  const { explanation } = prediction.explanation;
  const { evaluation, gate, modelCard } = prediction.predictedBy;
  const accuracy = evaluation.metrics.find(({ name }: Data) => name === 'accuracy');
  expect(clearAnswerOf(prediction.output)).toBe('adelie');
  expect(explanation).toMatchObject({ method: 'EXACT_SHAPLEY', label: 'adelie' });
  expect(Math.abs(explanation.additivityError)).toBeLessThan(1e-9);
  expect(evaluation.origin).toBe('COMPUTED');
  expect(accuracy.interval.low).toBeLessThan(accuracy.value);
  expect(gate).toMatchObject({ isPassed: true, reasons: [], checks: [{ name: 'accuracy', value: accuracy.value }] });
  expect(modelCard).toContain('model-index');
});
