/**
 * Graphs that a converter is known to write wrongly, recognized by operators and attributes that it writes for one estimator
 * only. The import refuses them unless golden cases show that the graph answers right.
 */
import { CALIBRATION_FAULTS } from './calibration-faults.js';
import type { Fault, GraphView } from './graph-view.js';
import { LOST_INDICATORS } from './imputer-faults.js';
import { LOST_CATEGORIES } from './tree-faults.js';

/** What is wrong with each faulty estimator in the graph, and what to export instead. @throws MalformedProtobufError */
export function converterFaults(view: GraphView): string[] {
  return FAULTS.filter(({ isIn }) => isIn(view)).map(({ reason }) => `${reason}; ${GOLDENS}`);
}

export const GOLDENS = 'if the graph answers right nevertheless, add golden.json with answers of the source framework';

/** How onnxmltools names the number by which it divides. */
const DENOMINATOR = /^denominator\d*$/;

/** A part of a regular expression of RE2 that may match letters outside ASCII; \\w does not. */
const BEYOND_ASCII = /\.|\[\^|\\[pPSWDCx]|[\u0080-\uffff]/;

/** How skl2onnx names what StackingClassifier passes on of an estimator. */
const STACKED = /^sv_prob_tensor\d*(?:_castio\d*)?$/;

/** Whether a StackingClassifier passes on the scores of all classes of an estimator. */
function isWholeEstimator(view: GraphView, name: string): boolean {
  return STACKED.test(name) && view.producer(name)?.op !== 'ArrayFeatureExtractor';
}

const FAULTS: readonly Fault[] = [
  ...CALIBRATION_FAULTS,
  LOST_INDICATORS,
  LOST_CATEGORIES,
  {
    isIn: (view) =>
      view.some('ArrayFeatureExtractor', ({ inputs: [values, index] }) => {
        return view.isConstant(values) && view.chain(index, ['ArgMin', 'Abs', 'Sub']) !== undefined;
      }),
    reason:
      'the graph has the isotonic calibration of CalibratedClassifierCV, which skl2onnx exports as steps instead of lines, so that its scores are wrong: calibrate with method="sigmoid"',
  },
  {
    isIn: (view) =>
      view.some('Reciprocal', ({ inputs: [weight] }) => {
        const scaled = view.chain(weight, ['Max', 'Mul']);
        const nearest = view.producer(scaled?.inputs[0]);
        return nearest?.op === 'TopK' && view.int(nearest, 'largest', 1) === 0 && view.scalar(scaled?.inputs[1]) === -1;
      }),
    reason:
      'the graph has a k-nearest-neighbors model with weights="distance", whose distances skl2onnx turns negative, so that all neighbors weigh the same: train it with weights="uniform"',
  },
  {
    isIn: (view) =>
      view.some('LinearClassifier', (node) => {
        const isSoftmax = view.text(node, 'post_transform') === 'SOFTMAX' && view.int(node, 'multi_class', 0) === 0;
        return isSoftmax && view.classCount(node) === 2;
      }),
    reason:
      'the graph has a linear model of two classes with Softmax, as skl2onnx exports both LinearDiscriminantAnalysis, whose scores are then wrong, and LogisticRegression(multi_class="multinomial"), whose scores are right: train LogisticRegression without multi_class, or return only the label',
  },
  {
    isIn: (view) =>
      view.some('ArgMax', ({ inputs: [scores] }) => {
        const joined = view.producer(scores);
        const parts = joined?.op === 'Concat' ? joined.inputs : [];
        return parts.some((part) => view.chain(part, ['Slice', 'ArrayFeatureExtractor', 'LinearClassifier']));
      }),
    reason:
      'the graph has a OneVsRestClassifier around RidgeClassifier, whose scores skl2onnx selects twice, so that none are left: export RidgeClassifier alone, which has one score per class itself',
  },
  {
    isIn: (view) =>
      view.some('ArgMax', ({ inputs: [scores] }) => {
        const votes = view.chain(scores, ['Div', 'ReduceSum', 'Equal']);
        return votes !== undefined && view.isConstant(votes.inputs[0]);
      }),
    reason:
      'the graph has a BaggingClassifier around an estimator without probabilities, whose votes skl2onnx adds up over all rows: bag an estimator that has predict_proba, such as LogisticRegression or SVC(probability=True)',
  },
  {
    isIn: (view) =>
      view.some('Concat', (joined) => {
        // BaggingClassifier joins along the first axis.
        if (view.int(joined, 'axis', 1) === 0) return false;
        const isMixed = () => joined.inputs.some((input) => isWholeEstimator(view, input));
        return (
          joined.inputs.some((input) => view.isPairOfRawScores(input)) ||
          (joined.inputs.some((input) => view.isOneRawScore(input)) && isMixed())
        );
      }),
    reason:
      'the graph has a StackingClassifier of two classes around an estimator without probabilities, of which skl2onnx passes on two columns instead of one: stack estimators that have predict_proba, such as LogisticRegression or SVC(probability=True)',
  },
  {
    isIn: (view) =>
      view.some(
        'ArgMax',
        ({ inputs: [scores] }) => view.isComplemented(scores, 'raw') && !view.isOfSupportVectors(scores),
      ),
    reason:
      'the graph has a OneVsRestClassifier of two classes around an estimator without probabilities, whose label skl2onnx chooses at 0.5 instead of 0: export that estimator alone, without OneVsRestClassifier',
  },
  {
    isIn: (view) => view.some('ArgMax', ({ inputs: [scores] }) => view.isOfSupportVectors(scores)),
    reason:
      'the graph has a OneVsRestClassifier around SVC or NuSVC, whose label skl2onnx does not choose by the decision function: export SVC(decision_function_shape="ovr") alone, without OneVsRestClassifier',
  },
  {
    isIn: (view) =>
      view.some(
        'ArgMax',
        ({ inputs: [scores] }) => view.chain(scores, ['Div', 'Add', 'Div', 'Add', 'Clip']) !== undefined,
      ),
    reason:
      'the graph has an SGDClassifier of several classes with loss="modified_huber", whose label skl2onnx chooses by the clipped scores, which are the same for several classes: train it with loss="log_loss"',
  },
  {
    isIn: (view) =>
      view.some('Equal', ({ inputs: [vote] }) => {
        const scores = view.chain(vote, ['ArgMax'])?.inputs[0] ?? '';
        return view.isOneRawScore(scores) || view.chain(scores, ['SVMClassifier']) !== undefined;
      }),
    reason:
      'the graph has a VotingClassifier(voting="hard") around SVC, NuSVC, or LinearSVC or RidgeClassifier of two classes, whose votes skl2onnx takes from the place of the highest score, which is not the class that they predict: leave them out, or set voting="soft" for estimators with predict_proba',
  },
  {
    isIn: (view) => view.nodes.some(({ outputs }) => outputs.some((name) => /^label_tuned\d*$/.test(name))),
    reason:
      'the graph has a TunedThresholdClassifierCV, whose threshold skl2onnx leaves out, so that the label is chosen at 0.5: export its estimator_ and apply best_threshold_ to the score where the answer is used',
  },
  {
    isIn: (view) =>
      view.some('Div', ({ inputs: [sum, count] }) => {
        const trees = view.chain(sum, ['TreeEnsembleRegressor']);
        return DENOMINATOR.test(count ?? '') && trees !== undefined && view.scalar(count) !== view.treeCount(trees);
      }),
    reason:
      'the graph has a LightGBM regressor with boosting_type="rf", whose sum onnxmltools divides by 100, whatever the number of trees: train it with n_estimators=100, or with boosting_type="gbdt"',
  },
  {
    isIn: (view) =>
      view.some('Div', ({ inputs: [score, count] }) => {
        const trees = view.chain(score, ['ArrayFeatureExtractor', 'TreeEnsembleClassifier']);
        return DENOMINATOR.test(count ?? '') && trees !== undefined;
      }),
    reason:
      'the graph has a LightGBM classifier with boosting_type="rf", whose scores onnxmltools divides by 100: train it with boosting_type="gbdt"',
  },
  {
    isIn: ({ catBoostLoss }) => catBoostLoss === 'MultiClassOneVsAll',
    reason:
      'the graph is of a CatBoostClassifier with loss_function="MultiClassOneVsAll", which CatBoost exports with Softmax instead of Sigmoid, so that its scores are wrong: train it with loss_function="MultiClass"',
  },
  {
    isIn: ({ catBoostLoss }) => /^Multi(?:Logloss|CrossEntropy)$/.test(catBoostLoss),
    reason:
      'the graph is of a CatBoostClassifier of several labels (loss_function MultiLogloss or MultiCrossEntropy), which CatBoost exports with Softmax instead of Sigmoid, so that its scores are wrong: set post_transform of the TreeEnsembleClassifier to LOGISTIC with onnx, or train one model for each label',
  },
  {
    isIn: (view) =>
      view.some('TfIdfVectorizer', (words) => {
        const tokenizer = view.chain(words.inputs[0], ['Tokenizer']);
        const pattern = tokenizer ? view.text(tokenizer, 'tokenexp') : '';
        return pattern !== '' && !BEYOND_ASCII.test(pattern) && view.hasAccents(words, 'pool_strings');
      }),
    reason:
      "the graph splits texts into words of ASCII letters, as skl2onnx does by default, so that it never finds words of its vocabulary with other letters: export with options={TfidfVectorizer: {'tokenexp': r'[\\pL\\pN_]{2,}'}}, or for CountVectorizer",
  },
  {
    isIn: ({ catBoostLoss }) => /^(?:Poisson|Tweedie|LogLinQuantile)$/.test(catBoostLoss),
    reason:
      'the graph is of a CatBoostRegressor with loss_function Poisson, Tweedie or LogLinQuantile, of which CatBoost exports the logarithm: append Exp to the graph, for example with onnx.helper.make_node("Exp", …), or train it with loss_function="RMSE"',
  },
];
