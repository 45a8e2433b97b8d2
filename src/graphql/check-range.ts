import { BadArgumentError } from '../errors.js';

/** Of an argument. @throws BadArgumentError */
export function checkRange(name: string, value: number, least: number, most = Number.POSITIVE_INFINITY): void {
  if (value >= least && value <= most) return;
  const rule = most === Number.POSITIVE_INFINITY ? `be at least ${least}` : `be between ${least} and ${most}`;
  throw new BadArgumentError(`${name} is ${value}; it must ${rule}.`);
}
