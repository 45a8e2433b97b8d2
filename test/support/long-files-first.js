/**
 * Starts with the short versions of the long runs: Jest starts with the largest files if it does not know how long each takes,
 * and these are small, so the last of them would run alone.
 */
import Sequencer from '@jest/test-sequencer';

export default class LongFilesFirst extends Sequencer {
  sort(tests) {
    const isLong = ({ path }) => path.includes('/test/endurance/');
    return super.sort(tests).toSorted((a, b) => Number(isLong(b)) - Number(isLong(a)));
  }
}
