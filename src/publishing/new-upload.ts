/** Checks the announcement of an upload, before it is created. */
import { type InputProblem, InvalidInputError } from '../errors.js';

/** Larger weights than this run on no machine that this server is made for. */
export const MAX_UPLOAD_BYTES = 16 * 1024 ** 3;
export const MAX_FILE_NAME_CHARACTERS = 255;

export interface WantedUpload {
  readonly fileName: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** @throws InvalidInputError that names everything wrong */
export function checkNewUpload({ fileName, sizeBytes, sha256 }: WantedUpload): void {
  const problems: InputProblem[] = [];
  const add = (
    field: keyof WantedUpload,
    code: InputProblem['code'],
    message: string,
    expected: string,
    received: string,
  ) => problems.push({ path: ['input', field], code, message, expected, received });
  const characters = fileName.length;
  if (characters === 0 || characters > MAX_FILE_NAME_CHARACTERS)
    add(
      'fileName',
      characters === 0 ? 'EMPTY' : 'TOO_LARGE',
      'the name has a length that is not accepted',
      `1 to ${MAX_FILE_NAME_CHARACTERS} characters`,
      `${characters} characters`,
    );
  if (sizeBytes < 0 || sizeBytes > MAX_UPLOAD_BYTES)
    add(
      'sizeBytes',
      sizeBytes < 0 ? 'OUT_OF_RANGE' : 'TOO_LARGE',
      'the size is not accepted',
      `0 to ${MAX_UPLOAD_BYTES} bytes`,
      `${sizeBytes} bytes`,
    );
  if (!/^[0-9a-f]{64}$/.test(sha256))
    add('sha256', 'UNREADABLE', 'this is no SHA-256', '64 hexadecimal digits in lower case', sha256);
  if (problems.length > 0) throw new InvalidInputError(problems);
}
