import { OutcomeData } from '#src/monitoring/outcome-data.js';
import { packScores } from '#src/prediction/sealed-outcome.js';

test('scores of a label that a version has twice are added up', () => {
  const data = new OutcomeData({ labels: ['ham', 'spam', 'ham'] });
  data.add({ truth: 'ham', predicted: 'spam', scores: packScores([0.25, 0.5, 0.25]), reason: null });

  const { labels, answers } = data.toMeasure();

  expect(labels).toEqual(['ham', 'spam']);
  expect([...answers.truth, ...answers.predicted]).toEqual([0, 1]);
  expect([...(answers.scores ?? [])]).toEqual([0.5, 0.5]);
});
