/** Finds trees that were exported for one of several targets only: onnxmltools 1.16 gives all trees of XGBoost to the first. */
import { intsOf } from './graph-nodes.js';
import { fieldsOf, numbersOf, stringField } from './protobuf.js';

/**
 * Why the attributes of a TreeEnsembleRegressor cannot be those of its model; null if they can.
 *
 * @throws MalformedProtobufError
 */
export function lostTargets(attributes: readonly Uint8Array[]): string | null {
  const named = (name: string) => attributes.find((attribute) => stringField(attribute, 1) === name);
  const [targets = 1] = intsOf(named('n_targets'));
  const ids = named('target_ids');
  if (targets < 2 || !ids || hasOther(ids)) return null;
  return `has ${targets} targets, but all of its trees are of the first one, so that its numbers are wrong: export one model for each target, such as MultiOutputRegressor of scikit-learn around XGBRegressor, and join the graphs`;
}

/** Whether any of the ids is not 0. */
function hasOther(ids: Uint8Array): boolean {
  for (const field of fieldsOf(ids)) if (field.number === 8 && numbersOf(field).some((id) => id !== 0)) return true;
  return false;
}
