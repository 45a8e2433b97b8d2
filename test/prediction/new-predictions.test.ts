/** What a prediction that was just made costs the request. */
import 'reflect-metadata';
import { SYSTEM } from '#src/access/principal.js';
import { AnswerState } from '#src/api/answers.js';
import { RequestContext, type RequestDatabases } from '#src/api/context.js';
import { AnswerBudget, AnswersInFlight } from '#src/api/response-budget.js';
import { create } from '#src/graphql/create.js';
import { PredictionResolver } from '#src/prediction/prediction.resolver.js';
import { Prediction } from '#src/prediction/prediction.type.js';

const NOTHING = new Proxy(
  {},
  {
    get: (_, name) => {
      throw new Error(`${String(name)} was read.`);
    },
  },
);

const timing = { queueMs: 1, prepareMs: 0, inferMs: 1, finishMs: 0, totalMs: 2, batchSize: 1 };
const runtime = { executionProvider: 'cpu', device: 'cpu', artifactSha256: '', variant: null };

test('the fields of a prediction that was just made use no loaders, so the request creates none', async () => {
  const budget = new AnswerBudget(1e6, new AnswersInFlight(1e6), {
    caller: 'a',
    isClosed: false,
    onClose: () => {},
    disconnect: () => {},
  });
  const connection = { caller: 'a', isClosed: false, meter: null };
  const context = new RequestContext(SYSTEM, connection, new AnswerState(budget), NOTHING as RequestDatabases);
  const resolver = new PredictionResolver(NOTHING as never, NOTHING as never, NOTHING as never, NOTHING as never);
  const prediction = create(Prediction, {
    id: 'prediction_1',
    createdAt: new Date(),
    recorded: true,
    versionId: 'version_1',
    contents: {
      isStored: false,
      timing,
      runtime,
      answer: { kind: 'regression', value: 2, unit: null },
      labels: [],
      input: { row: {} },
      image: null,
      inputJson: '{"row":{}}',
    },
  });

  const fields = [
    resolver.timing(prediction, context),
    resolver.runtime(prediction, context),
    resolver.output(prediction, context),
    await resolver.truncated(prediction, context),
    await (await resolver.input(prediction, context))?.value(),
    resolver.inputKind(prediction, context),
    resolver.inputPreview(prediction, 200, context),
    await resolver.picture(prediction, context),
  ];

  expect(fields).toMatchObject([timing, runtime, { value: 2 }, false, { text: '{"row":{}}' }, 'ROW', '{}', null]);
});
