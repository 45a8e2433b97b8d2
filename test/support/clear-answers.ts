/** What an example answers, in a form that tests can hold: a class only if its score is clear. */
import type { Data } from './app.js';

/** Least score of a class. Of ten classes, it is at least three times that of any other. */
const CLEAR_SCORE = 0.75;
const CLEAR_SCORE_OF_TWO = 0.8;

/** The label of a class or the labels of boxes, each with its score if that is not clear; a value as it is. */
export function clearAnswerOf({ items, value, label, score, classes }: Data): unknown {
  if (items) return items.map(clearAnswerOf);
  if (value !== undefined) return value;
  const least = (classes?.length ?? 2) > 2 ? CLEAR_SCORE : CLEAR_SCORE_OF_TWO;
  return score < least ? { label, score } : label;
}
