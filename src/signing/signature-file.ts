import { type InputProblem, SignatureError } from '../errors.js';

/** In the folder of a model; as `model_signing` names it by default. */
export const SIGNATURE_FILE = 'model.sig';

/** The signature itself cannot be accepted. */
export function signatureError(
  code: InputProblem['code'],
  message: string,
  expected: string,
  received: string | null,
): SignatureError {
  return new SignatureError([{ path: [SIGNATURE_FILE], code, message, expected, received }]);
}
