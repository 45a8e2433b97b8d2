/** Failures that SQLite reports, and the result codes that the server tells apart. */

/** Primary result codes: https://sqlite.org/rescode.html */
export const RESULT_CODE = {
  busy: 5,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  constraint: 19,
  notADatabase: 26,
} as const;

const PRIMARY_CODE_BITS = 0xff;

export class SqliteError extends Error {
  constructor(
    message: string,
    readonly code: string,
    /** The extended result code: 1555 for a primary key that is taken. */
    readonly errcode: number,
  ) {
    super(message);
  }

  is(...failures: readonly (keyof typeof RESULT_CODE)[]): boolean {
    return failures.some((failure) => RESULT_CODE[failure] === (this.errcode & PRIMARY_CODE_BITS));
  }
}
