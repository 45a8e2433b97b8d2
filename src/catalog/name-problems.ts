/** Problems with the names of models and datasets, which are unique on the server. */
import type { InputProblem } from '../errors.js';

type Named = 'model' | 'dataset';

/** The same for names that the caller may see and may not see. */
export function takenName(of: Named, name: string): InputProblem {
  return {
    path: ['input', 'name'],
    code: 'WRONG_KIND',
    message: 'the name is taken',
    expected: `a name that no ${of} of the server has`,
    received: name,
  };
}

/** It cannot be deleted. */
export function folderInStore(of: Named, name: string): InputProblem {
  return {
    path: ['input', of],
    code: 'WRONG_KIND',
    message: 'its folder is in the model store, from which it would be imported again; remove the folder first',
    expected: `a ${of} without a folder in the model store`,
    received: name,
  };
}
