/**
 * Sigmoids of CalibratedClassifierCV that calibrate other numbers than scikit-learn has fitted them to. scikit-learn fits them
 * to the decision function, wherever the estimator has one. skl2onnx exports it only for some estimators that stand directly in
 * CalibratedClassifierCV; of others, and of all in a Pipeline, the sigmoid reads the probabilities.
 */
import type { Node } from './graph-nodes.js';
import type { Fault, GraphView } from './graph-view.js';

const PROBABILITIES =
  'of which skl2onnx calibrates the probabilities where scikit-learn calibrates the decision function, so that its scores are wrong';

export const CALIBRATION_FAULTS: readonly Fault[] = [
  {
    isIn: (view) => calibratedIn(view).some(isWrapped(view)),
    reason: `the graph has a CalibratedClassifierCV around a Pipeline or GridSearchCV, ${PROBABILITIES}: put the Pipeline around it, as in make_pipeline(StandardScaler(), CalibratedClassifierCV(SVC())), and calibrate best_estimator_ in place of GridSearchCV`,
  },
  {
    isIn: (view) => calibratedIn(view).some((name) => supportVectors(view, name)?.attributes.has('prob_a')),
    reason: `the graph has a CalibratedClassifierCV around SVC or NuSVC with probability=True, ${PROBABILITIES}: train it without probability=True, and put a Pipeline, if any, around CalibratedClassifierCV`,
  },
  {
    isIn: (view) => calibratedIn(view).some((name) => view.chain(name, ['Div', 'Exp', 'Sub', 'Add', 'Mul'])),
    reason: `the graph has a CalibratedClassifierCV around QuadraticDiscriminantAnalysis, ${PROBABILITIES}: export QuadraticDiscriminantAnalysis alone, whose own probabilities are right`,
  },
  {
    isIn: (view) =>
      calibratedIn(view).some((name) => {
        const trees = view.producer(name);
        return trees && isBoostedByLeq(view, trees) && !trees.attributes.has('base_values');
      }),
    reason: `the graph has a CalibratedClassifierCV around LGBMClassifier, ${PROBABILITIES}: export LGBMClassifier alone, or calibrate XGBClassifier or HistGradientBoostingClassifier`,
  },
];

/** What the sigmoids 1 / (1 + exp(a · score + b)) read: before a normalization of the scores, and before the mean of BaggingClassifier. */
function calibratedIn(view: GraphView): string[] {
  const scores: string[] = [];
  for (const { op, inputs } of view.nodes) {
    const scaled = op === 'Exp' ? view.chain(inputs[0], ['Add', 'Mul']) : undefined;
    const column = view.producer(scaled?.inputs[1]);
    const [name] = column?.op === 'ArrayFeatureExtractor' ? column.inputs : [];
    if (name === undefined || view.scalar(scaled?.inputs[0]) === undefined) continue;
    const bagged = view.chain(name, ['ReduceMean', 'Concat'])?.inputs ?? [name];
    scores.push(...bagged.map((each) => view.chain(each, ['Normalizer'])?.inputs[0] ?? each));
  }
  return scores;
}

function isWrapped(view: GraphView): (name: string) => boolean {
  return (name) => {
    const classifier = view.producer(name);
    if (classifier?.op === 'LinearClassifier') return view.text(classifier, 'post_transform') !== 'NONE';
    if (classifier?.op === 'TreeEnsembleClassifier')
      return isBoostedByLeq(view, classifier) && classifier.attributes.has('base_values');
    if (classifier?.op === 'SVMClassifier')
      // Where it is right, the graph turns the sign of its decision function.
      return view.classCount(classifier) === 2 && !classifier.attributes.has('prob_a');
    return WRAPPED.some((ops) => view.chain(name, ops)) || isOfSgd(view, classifier);
  };
}

/** How skl2onnx makes probabilities, the last operator first. */
const WRAPPED = [
  // RidgeClassifier of two classes, of which no second column is left.
  ['ArrayFeatureExtractor', 'LinearClassifier'],
  // AdaBoostClassifier.
  ['Div', 'Exp', 'Mul', 'Div', 'Sum'],
  // SGDClassifier of several classes with loss="log_loss" and "modified_huber".
  ['Div', 'Add', 'Reciprocal'],
  ['Div', 'Add', 'Div', 'Add', 'Clip'],
];

/** Whether a value has the probabilities of an SGDClassifier of two classes. Those of MLPClassifier, which are right, have other names. */
function isOfSgd(view: GraphView, joined: Node | undefined): boolean {
  const score = joined?.op === 'Concat' ? joined.inputs[1] : undefined;
  if (view.chain(score, ['Div', 'Add', 'Clip'])) return true;
  const weights = view.chain(score, ['Sigmoid', 'Add', 'MatMul'])?.inputs[1];
  return /^coef\d*$/.test(weights ?? '');
}

/** Whether trees of scikit-learn or LightGBM make probabilities of their sums; those of XGBoost, which are right, ask for less than. */
function isBoostedByLeq(view: GraphView, trees: Node): boolean {
  if (trees.op !== 'TreeEnsembleClassifier' || view.text(trees, 'post_transform') === 'NONE') return false;
  return view.hasText(trees, 'nodes_modes', 'BRANCH_LEQ');
}

function supportVectors(view: GraphView, name: string): Node | undefined {
  return view.chain(name, ['SVMClassifier']) ?? view.chain(name, ['Mul', 'SVMClassifier']);
}
