/** Here and not in `catalog/`, because the problem `NotReady` has a field of this type. */
import { enumOf } from './enum.type.js';

export const VersionStateEnum = enumOf('VersionState', 'State of a version.', {
  READY: 'The version runs predictions.',
  FAILED: 'The version could not be imported, or its answers differ from its golden cases. See `stateReason`.',
  ARCHIVED: 'The version is kept for its history and runs no predictions.',
});
