/**
 * Finds trees of several targets that were exported wrongly: onnxmltools 1.16 gives all trees of XGBoost to the first one, and
 * CatBoost writes a classifier without classes.
 */
import { intsOf } from './graph-nodes.js';
import { fieldsOf, numbersOf, stringField } from './protobuf.js';
import { classLabelsOf } from './zip-map.js';

/** Why the attributes of a node cannot be those of its model; null if they can. @throws MalformedProtobufError */
export function lostTargets(op: string, attributes: readonly Uint8Array[]): string | null {
  const named = (name: string) => attributes.find((attribute) => stringField(attribute, 1) === name);
  if (op === 'TreeEnsembleClassifier') return lostClasses(named('classlabels_strings'), named('classlabels_int64s'));
  if (op !== 'TreeEnsembleRegressor') return null;
  const [targets = 1] = intsOf(named('n_targets'));
  const ids = named('target_ids');
  if (targets < 2 || !ids || hasOther(ids)) return null;
  return `has ${targets} targets, but all of its trees are of the first one, so that its numbers are wrong: export one model for each target, such as MultiOutputRegressor of scikit-learn around XGBRegressor, and join the graphs`;
}

function lostClasses(...lists: readonly (Uint8Array | undefined)[]): string | null {
  if (lists.some((list) => list && classLabelsOf(list).length > 0)) return null;
  return 'has no classes, as CatBoost exports regressors of several targets (MultiRMSE, MultiQuantile): train and export one model for each target, and join the graphs, for example with onnx.compose.merge_models, after del model.metadata_props[:]';
}

/** Whether any of the ids is not 0. */
function hasOther(ids: Uint8Array): boolean {
  for (const field of fieldsOf(ids)) if (field.number === 8 && numbersOf(field).some((id) => id !== 0)) return true;
  return false;
}
