/** Tokenizers are those that `AutoTokenizer` of transformers 5.24 loads: see `goldens/make-tokenizer-classes.py`. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { tokenizerOfClass } from '#src/importing/tokenizer-classes.js';
import { withSettings } from '#src/importing/tokenizer-settings.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';

type Kind = 'saved' | 'earlier' | 'settings' | 'own' | 'model';
interface Case {
  readonly name: string;
  readonly kind: Kind;
  readonly file: Data;
  readonly settings: Data;
  readonly built: Data;
}
const GOLDENS = path.resolve('test/importing/goldens');
const cases: readonly Case[] = JSON.parse(readFileSync(path.join(GOLDENS, 'tokenizer-classes.json'), 'utf8'));
const of = (...kinds: Kind[]) =>
  cases.flatMap((one, i) => (kinds.includes(one.kind) ? [[`${one.name}-${i}`, one] as const] : []));
const found = ({ file, settings }: Case) => tokenizerOfClass(withSettings(file, settings), settings, {}, file);

test.each(of('saved'))('%s, saved by transformers, is read as it is', (_, one) => {
  const { tokenizer = withSettings(one.file, one.settings) } = (found(one) ?? {}) as { tokenizer?: Data };

  expect(tokenizer).toEqual(one.file);
});

test.each(of('earlier', 'settings'))('%s is what transformers builds from the files', (_, one) => {
  const { tokenizer = withSettings(one.file, one.settings) } = (found(one) ?? {}) as { tokenizer?: Data };

  expect(stepsOf(tokenizer as Data)).toEqual(stepsOf(one.built));
});

test.each(of('own').filter(([, { name }]) => name !== 'generic'))('%s has parts that its class drops', (_, one) => {
  expect(stepsOf(one.built)).not.toEqual(stepsOf(one.file));
  expect(found(one)).toEqual({ problem: expect.stringContaining('set tokenizer_class to PreTrainedTokenizerFast') });
});

test.each(of('model').filter(([, { name }]) => name !== 'generic'))('%s has options that its class drops', (_, one) => {
  expect(one.built['model']).not.toEqual(one.file['model']);
  expect(found(one)).toEqual({
    problem: expect.stringMatching(/sets \w+ of the model to .* ignores that of tokenizer/),
  });
});

test('PreTrainedTokenizerFast keeps the options of the model', () => {
  const [[, one]] = of('model').filter(([, { name }]) => name === 'generic') as [[string, Case]];

  expect(one.built['model']).toEqual(one.file['model']);
  expect(found(one)).toBeNull();
});

test('PreTrainedTokenizerFast keeps the parts of tokenizer.json', () => {
  const [[, one]] = of('own').filter(([, { name }]) => name === 'generic') as [[string, Case]];

  expect(one.built).toEqual(one.file);
  expect(found(one)).toBeNull();
});

test.each([
  ['without tokenizer_class, of a model of RoBERTa', {}, { model_type: 'roberta' }, true],
  ['without tokenizer_class, of an unknown model', {}, { model_type: 'other' }, false],
  [
    'of a model whose file transformers reads as it is',
    { tokenizer_class: 'RobertaTokenizer' },
    { model_type: 'modernbert' },
    false,
  ],
])('a tokenizer %s', (_, config, model, hasProblem) => {
  const file = { normalizer: { type: 'Lowercase' }, pre_tokenizer: { type: 'ByteLevel' } };

  expect(tokenizerOfClass(file, config, model) !== null).toBe(hasProblem);
});

describe('a folder whose tokenizer_class drops the normalizer of tokenizer.json', () => {
  let store: TestStore;
  let app: TestApp;
  const states: Record<string, Data> = {};
  beforeAll(async () => {
    store = await createStore();
    for (const name of ['unknown', 'verified', 'generic']) {
      const folder = path.join(store.folder, name);
      cpSync(path.join(GOLDENS, 'texts/tokens-line-breaks'), folder, { recursive: true });
      change(path.join(folder, 'tokenizer.json'), { normalizer: { type: 'NFC' } });
      if (name === 'generic')
        change(path.join(folder, 'tokenizer_config.json'), { tokenizer_class: 'PreTrainedTokenizerFast' });
      if (name !== 'verified') rmSync(path.join(folder, 'golden.json'));
    }
    app = await startTestApp({ modelStore: store.folder });
    const { models } = await app.query(
      '{ models(first: 9) { nodes { name versions { nodes { state stateReason } } } } }',
    );
    for (const { name, versions } of models.nodes) states[name] = versions.nodes[0];
  });
  afterAll(async () => {
    await app.stop();
    await store.remove();
  });

  test('is refused with both ways out', () => {
    const reason = expect.stringMatching(
      /RobertaTokenizer.*\(NFC; ByteLevel\).*PreTrainedTokenizerFast.*save_pretrained.*golden\.json/,
    );
    expect(states['unknown']).toEqual({ state: 'FAILED', stateReason: reason });
  });

  test.each(['verified', 'generic'])('is READY if it is %s', (name) => {
    expect(states[name]).toEqual({ state: 'READY', stateReason: null });
  });
});

function change(file: string, keys: Data): void {
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...keys }));
}

/** Without sequences of one part, and with the keys that earlier releases left out. */
function stepsOf({ normalizer, pre_tokenizer }: Data): Data[] {
  const list = [normalizer?.normalizers ?? [normalizer], pre_tokenizer?.pretokenizers ?? [pre_tokenizer]].flat();
  return list.filter(Boolean).map(({ str_rep: _, add_prefix_space, ...part }: Data) => {
    if (part['type'] === 'Metaspace') return { prepend_scheme: 'always', split: true, ...part };
    return part['type'] === 'ByteLevel' ? { use_regex: true, add_prefix_space, ...part } : part;
  });
}
