/** Graphs that answer differently from their source framework, because of a fault of the converter. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';

const GOLDENS = path.join('test', 'importing', 'goldens', 'converter-faults');
const NAMES = readdirSync(GOLDENS);
/** Graphs of the same estimators, which answer as their framework. */
const RIGHT = path.join('test', 'importing', 'goldens', 'right-conversions');
const RIGHT_NAMES = readdirSync(RIGHT);

const NEIGHBORS =
  'the graph has a k-nearest-neighbors model with weights="distance", whose distances skl2onnx turns negative, so that all neighbors weigh the same: train it with weights="uniform"';
const OF_TWO =
  'the graph has a OneVsRestClassifier of two classes around an estimator without probabilities, whose label skl2onnx chooses at 0.5 instead of 0: export that estimator alone, without OneVsRestClassifier';
const STACKED =
  'the graph has a StackingClassifier of two classes around an estimator without probabilities, of which skl2onnx passes on two columns instead of one: stack estimators that have predict_proba, such as LogisticRegression or SVC(probability=True)';
const PROBABILITIES =
  'of which skl2onnx calibrates the probabilities where scikit-learn calibrates the decision function, so that its scores are wrong';
const CALIBRATED = `the graph has a CalibratedClassifierCV around a Pipeline or GridSearchCV, ${PROBABILITIES}: put the Pipeline around it, as in make_pipeline(StandardScaler(), CalibratedClassifierCV(SVC())), and calibrate best_estimator_ in place of GridSearchCV`;
const CATEGORIES =
  'the graph has a HistGradientBoosting model with categorical_features, whose splits by category skl2onnx exports as splits at 0, so that its answers are wrong: train it without categorical_features, with OneHotEncoder or OrdinalEncoder before it';
const INDICATORS =
  'the graph has a SimpleImputer with add_indicator=True, whose columns of indicators skl2onnx leaves out, so that the operator after it reads columns that are not there: train with add_indicator=False, and let a column of the data say what is missing if that matters';
const VOTES =
  'the graph has a VotingClassifier(voting="hard") around SVC, NuSVC, or LinearSVC or RidgeClassifier of two classes, whose votes skl2onnx takes from the place of the highest score, which is not the class that they predict: leave them out, or set voting="soft" for estimators with predict_proba';
const missing = (column: string) =>
  `model.yaml: column "${column}" may be missing (required: false), but the graph has trees that send missing values to the same side at every split, as skl2onnx exports trees and forests of scikit-learn, whatever they have learned: put SimpleImputer before them, train HistGradientBoosting instead, or set required: true`;
const REASONS: Readonly<Record<string, string>> = {
  isotonic:
    'the graph has the isotonic calibration of CalibratedClassifierCV, which skl2onnx exports as steps instead of lines, so that its scores are wrong: calibrate with method="sigmoid"',
  'weighted-neighbors': NEIGHBORS,
  'weighted-neighbors-number': NEIGHBORS,
  'two-class-discriminant':
    'the graph has a linear model of two classes with Softmax, as skl2onnx exports both LinearDiscriminantAnalysis, whose scores are then wrong, and LogisticRegression(multi_class="multinomial"), whose scores are right: train LogisticRegression without multi_class, or return only the label',
  'one-versus-rest': OF_TWO,
  'one-versus-rest-perceptron': OF_TWO,
  'one-versus-rest-ridge':
    'the graph has a OneVsRestClassifier around RidgeClassifier, whose scores skl2onnx selects twice, so that none are left: export RidgeClassifier alone, which has one score per class itself',
  'bagged-svm':
    'the graph has a BaggingClassifier around an estimator without probabilities, whose votes skl2onnx adds up over all rows: bag an estimator that has predict_proba, such as LogisticRegression or SVC(probability=True)',
  'stacked-svm': STACKED,
  'stacked-perceptron': STACKED,
  'one-versus-rest-svc':
    'the graph has a OneVsRestClassifier around SVC or NuSVC, whose label skl2onnx does not choose by the decision function: export SVC(decision_function_shape="ovr") alone, without OneVsRestClassifier',
  'tuned-threshold':
    'the graph has a TunedThresholdClassifierCV, whose threshold skl2onnx leaves out, so that the label is chosen at 0.5: export its estimator_ and apply best_threshold_ to the score where the answer is used',
  'lightgbm-forest':
    'the graph has a LightGBM regressor with boosting_type="rf", whose sum onnxmltools divides by 100, whatever the number of trees: train it with n_estimators=100, or with boosting_type="gbdt"',
  'lightgbm-forest-classes':
    'the graph has a LightGBM classifier with boosting_type="rf", whose scores onnxmltools divides by 100: train it with boosting_type="gbdt"',
  'catboost-one-versus-all':
    'the graph is of a CatBoostClassifier with loss_function="MultiClassOneVsAll", which CatBoost exports with Softmax instead of Sigmoid, so that its scores are wrong: train it with loss_function="MultiClass"',
  'catboost-several-labels':
    'the graph is of a CatBoostClassifier of several labels (loss_function MultiLogloss or MultiCrossEntropy), which CatBoost exports with Softmax instead of Sigmoid, so that its scores are wrong: set post_transform of the TreeEnsembleClassifier to LOGISTIC with onnx, or train one model for each label',
  'accented-words':
    "the graph splits texts into words of ASCII letters, as skl2onnx does by default, so that it never finds words of its vocabulary with other letters: export with options={TfidfVectorizer: {'tokenexp': r'[\\pL\\pN_]{2,}'}}, or for CountVectorizer",
  'calibrated-regression': CALIBRATED,
  'calibrated-regression-three': CALIBRATED,
  'calibrated-boosting': CALIBRATED,
  'calibrated-adaboost': CALIBRATED,
  'calibrated-svc': CALIBRATED,
  'calibrated-ridge': CALIBRATED,
  'calibrated-sgd': CALIBRATED,
  'calibrated-sgd-three': CALIBRATED,
  'calibrated-huber': CALIBRATED,
  'calibrated-bagging': CALIBRATED,
  'calibrated-svc-probability': `the graph has a CalibratedClassifierCV around SVC or NuSVC with probability=True, ${PROBABILITIES}: train it without probability=True, and put a Pipeline, if any, around CalibratedClassifierCV`,
  'calibrated-discriminant': `the graph has a CalibratedClassifierCV around QuadraticDiscriminantAnalysis, ${PROBABILITIES}: export QuadraticDiscriminantAnalysis alone, whose own probabilities are right`,
  'calibrated-lightgbm': `the graph has a CalibratedClassifierCV around LGBMClassifier, ${PROBABILITIES}: export LGBMClassifier alone, or calibrate XGBClassifier or HistGradientBoostingClassifier`,
  'modified-huber':
    'the graph has an SGDClassifier of several classes with loss="modified_huber", whose label skl2onnx chooses by the clipped scores, which are the same for several classes: train it with loss="log_loss"',
  categories: CATEGORIES,
  'categories-classes': CATEGORIES,
  'indicators-linear': INDICATORS,
  'indicators-forest': INDICATORS,
  'indicators-svc': INDICATORS,
  'indicators-perceptron': INDICATORS,
  'indicators-neighbors': INDICATORS,
  'indicators-bayes': INDICATORS,
  'indicators-number': INDICATORS,
  'missing-forest': missing('a'),
  'missing-tree-number': missing('a'),
  'missing-scaled-forest': missing('a'),
  'missing-partly-imputed': missing('b'),
  'stacked-ridge': STACKED,
  'stacked-svc': STACKED,
  'voting-svc': VOTES,
  'voting-linear-svc': VOTES,
  'voting-ridge': VOTES,
  'catboost-poisson':
    'the graph is of a CatBoostRegressor with loss_function Poisson, Tweedie or LogLinQuantile, of which CatBoost exports the logarithm: append Exp to the graph, for example with onnx.helper.make_node("Exp", …), or train it with loss_function="RMSE"',
};
const UNLESS = 'if the graph answers right nevertheless, add golden.json with answers of the source framework';
const PLACE =
  'model.yaml: labels is missing: the graph has a OneVsOneClassifier, for which skl2onnx exports the place of the class in output "label" instead of the class: list all classes in labels, in the order of classes_';

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { output { ... on Classification { label score } ... on Regression { value } } } problem { message } } }`;

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  for (const name of NAMES) {
    const folder = path.join(GOLDENS, name);
    const yaml = readFileSync(path.join(folder, 'model.yaml'), 'utf8');
    const files = { 'model.yaml': yaml, '1/model.onnx': readFileSync(path.join(folder, '1/model.onnx')) };
    const goldenOf = (cases: Data) => JSON.stringify({ source: 'its framework', tolerance: 1e-5, cases });
    const { hasSame, cases } = rightOf(name);
    await store.write(name, files);
    await store.write(`${name}-golden`, { ...files, '1/golden.json': goldenOf(cases) });
    if (hasSame) await store.write(`${name}-same`, { ...files, '1/golden.json': goldenOf(cases.slice(-1)) });
    if (name === 'missing-partly-imputed')
      await store.write(`${name}-required`, { ...files, 'model.yaml': withOneOptional(yaml) });
    if (name === 'one-versus-one')
      await store.write(`${name}-labels`, { ...files, 'model.yaml': `${yaml}labels: ["3", "5", "7"]\n` });
  }
  for (const name of RIGHT_NAMES) await store.write(`right-${name}`, rightFilesOf(name));
  app = await startTestApp({ modelStore: store.folder });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

/** Of the columns, only the first may be missing. */
function withOneOptional(yaml: string): string {
  return yaml.replaceAll(', required: false', '').replace('type: number', 'type: number, required: false');
}

function rightOf(name: string, folder = GOLDENS): Data {
  return JSON.parse(readFileSync(path.join(folder, name, 'right.json'), 'utf8'));
}

function rightFilesOf(name: string): Readonly<Record<string, string | Buffer>> {
  const yaml = readFileSync(path.join(RIGHT, name, 'model.yaml'), 'utf8');
  return { 'model.yaml': yaml, '1/model.onnx': readFileSync(path.join(RIGHT, name, '1/model.onnx')) };
}

async function versionOf(model: string): Promise<Data> {
  return (await app.query(`{ version(ref: "${model}:1") { state stateReason verification { cases } } }`)).version;
}

test.each(Object.entries(REASONS))('%s is refused with what to export instead', async (name, reason) => {
  expect(await versionOf(name)).toMatchObject({ state: 'FAILED', stateReason: `${reason}; ${UNLESS}` });
});

test.each(Object.keys(REASONS))('%s is FAILED by golden cases of its framework', async (name) => {
  const { state, stateReason } = await versionOf(`${name}-golden`);

  expect(state).toBe('FAILED');
  expect(stateReason).toMatch(
    /^golden\.json: case 0 (?:differs from its framework|failed): |^the graph cannot run the example/,
  );
});

test('a graph that is faulty by its form is READY if its golden cases pass', async () => {
  expect(await versionOf('tuned-threshold-same')).toMatchObject({ state: 'READY', verification: { cases: 1 } });
});

test.each(RIGHT_NAMES)('%s of right-conversions is READY and answers as its framework', async (name) => {
  expect(await versionOf(`right-${name}`)).toMatchObject({ state: 'READY', stateReason: null });
  for (const { input, expect: expected } of rightOf(name, RIGHT).cases) {
    const { prediction } = (await app.query(PREDICT, { input: { model: `right-${name}`, input } })).predict;
    const { label, score, value } = prediction.output;
    if (expected.value !== undefined) expect(value).toBeCloseTo(expected.value, 5);
    else expect(label).toBe(expected.label);
    if (expected.scores) expect(score).toBeCloseTo(expected.scores[expected.label], 5);
  }
});

test('the shares of votes of a VotingClassifier are not answered as scores', async () => {
  const [{ input }] = rightOf('voting', RIGHT).cases;
  const { prediction } = (await app.query(PREDICT, { input: { model: 'right-voting', input } })).predict;

  expect(prediction.output.score).toBeNull();
});

test('a column may be missing if it is imputed before the trees', async () => {
  expect(await versionOf('missing-partly-imputed-required')).toMatchObject({ state: 'READY', stateReason: null });
});

test('the places of classes of a OneVsOneClassifier need labels', async () => {
  expect(await versionOf('one-versus-one')).toMatchObject({ state: 'FAILED', stateReason: PLACE });
  for (const { input, expect: expected } of rightOf('one-versus-one').cases) {
    const { prediction } = (await app.query(PREDICT, { input: { model: 'one-versus-one-labels', input } })).predict;
    expect(prediction.output).toEqual({ label: expected.label, score: null });
  }
});
