/** The locales of StringNormalizer nodes: which are found, which are replaced, and what is refused. */
import { isReplaceable, localesOf, withLocales } from '#src/onnx/string-normalizer.js';
import { type Data, startTestApp } from '../support/app.js';
import { createStore } from '../support/model-store.js';
import { type Attribute, encodeModel } from '../support/onnx.js';

/** Lower-cases texts; without a locale, the node has no such attribute. */
function lowerCasing(locale?: string): Buffer {
  const attributes: Attribute[] = [
    ...(locale === undefined ? [] : [{ name: 'locale', string: locale }]),
    { name: 'case_change_action', string: 'LOWER' },
  ];
  return encodeModel({
    inputs: [{ name: 'text', type: 'BYTES', shape: ['N'] }],
    outputs: [{ name: 'label', type: 'BYTES', shape: ['N'] }],
    nodes: [{ op: 'StringNormalizer', inputs: ['text'], outputs: ['label'], attributes }],
  });
}

test('the locale of a node that names none is the default of ONNX Runtime', () => {
  expect(localesOf(lowerCasing())).toEqual(['en_US.UTF-8']);
  expect(localesOf(lowerCasing('C'))).toEqual(['C']);
});

test('only the locale is replaced', () => {
  const replaced = withLocales(lowerCasing('C'), new Map([['C', 'C.UTF-8']]));

  expect(localesOf(replaced)).toEqual(['C.UTF-8']);
  expect(withLocales(replaced, new Map([['C.UTF-8', 'C']])).length).toBe(lowerCasing('C').length);
});

test('a model whose locales are not replaced keeps its bytes', () => {
  const model = lowerCasing('fr_FR.UTF-8');

  expect(withLocales(model, new Map([['C', 'C.UTF-8']]))).toBe(model);
});

test('a locale with letters of its own is not replaced', () => {
  expect(
    ['C', 'POSIX', 'en_US.UTF-8', 'en_US', 'en-US', 'en_US.utf8'].filter((locale) => !isReplaceable(locale)),
  ).toEqual([]);
  expect(['tr_TR.UTF-8', 'fr_FR.UTF-8', 'C.UTF-8', ''].filter(isReplaceable)).toEqual([]);
});

test('capital letters with accents are lower-cased whatever the file says; another locale that is not installed is refused', async () => {
  const store = await createStore();
  const models = {
    none: undefined,
    c: 'C',
    posix: 'POSIX',
    english: 'en_US.UTF-8',
    windows: 'en-US',
    other: 'xx_XX.UTF-8',
  };
  for (const [name, locale] of Object.entries(models))
    await store.write(name, { '1/model.onnx': lowerCasing(locale), 'model.yaml': 'task: text-classification\n' });
  const app = await startTestApp({ modelStore: store.folder });
  const labels: Data = {};

  for (const model of Object.keys(models)) {
    const { predict } = await app.query(
      `mutation ($input: PredictInput!) { predict(input: $input) { prediction { output { ... on Classification { label } } } problem { message } } }`,
      { input: { model, input: { text: 'ÇA ÉTÉ À ΑΒΓ' }, record: false } },
    );
    labels[model] = predict.prediction?.output.label ?? predict.problem.message;
  }

  const { other, ...found } = labels;
  expect(new Set(Object.values(found))).toEqual(new Set(['ça été à αβγ']));
  expect(other).toContain(
    `needs the locale xx_XX.UTF-8, which is not installed on the server: export the graph with the locale "C.UTF-8" (skl2onnx: options={TfidfVectorizer: {'locale': 'C.UTF-8'}}), or install xx_XX.UTF-8`,
  );
  await app.stop();
  await store.remove();
});
