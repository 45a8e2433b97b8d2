/** The digest of a version's files, by which the import finds out whether they have changed. */
import path from 'node:path';
import { readModelManifest } from '#src/importing/manifest.js';
import { earlierDigest, findVersionFolders, readContents, sourceDigest } from '#src/importing/version-files.js';
import { createStore, type TestStore } from '../support/model-store.js';

/** modules.json of sentence-transformers. */
const modulesJson = (...types: string[]) =>
  JSON.stringify(types.map((type) => ({ path: '', type: `sentence_transformers.models.${type}` })));

const FILES = {
  'config.json': '{ "architectures": ["BertModel"] }',
  'onnx/model.onnx': 'not a graph',
};

let store: TestStore;
beforeAll(async () => {
  store = await createStore();
  await store.write('plain', FILES);
  await store.write('dense', { ...FILES, 'modules.json': modulesJson('Transformer', 'Dense') });
  await store.write('missing', { ...FILES, 'modules.json': modulesJson('Transformer', 'Pooling') });
  await store.write('combined', {
    ...FILES,
    'modules.json': modulesJson('Transformer', 'Pooling'),
    '1_Pooling/config.json': '{ "pooling_mode_cls_token": true, "pooling_mode_max_tokens": true }',
  });
});
afterAll(() => store.remove());

async function digestOf(name: string): Promise<string> {
  const folder = path.join(store.folder, name);
  const [version] = await findVersionFolders(folder);
  if (!version) throw new Error(`${name} has no version`);
  return sourceDigest(await readContents(version), await readModelManifest(folder));
}

test('the digest is the same as in release 0.1.0, so that published versions do not look changed', async () => {
  const names = ['plain', 'dense', 'missing', 'combined'];
  const digests = await Promise.all(names.map(digestOf));

  expect(Object.fromEntries(names.map((name, i) => [name, digests[i]]))).toEqual({
    plain: 'eed89ad9683380ee9ff6e1f1ad8a7d9a978a7227f0455295cfaff1439164d13e',
    dense: 'f5c2e363ed17576105477a6b18ad085335451e7de6bc00bbc7cd170659017dbe',
    missing: '06ca28b5aef367907291867f6220a3143ceb1cc982dcdad277ebbabe96f25688',
    combined: '4dcc2da2dd9fe434ed374b1337f137fbae0503796ac125920e3fc59a60db585b',
  });
});

test('the account that owns a model is not part of the digest', async () => {
  await store.write('without-account', { ...FILES, 'model.yaml': 'owner: somebody' });
  await store.write('with-account', { ...FILES, 'model.yaml': 'owner: somebody\naccount: team' });

  expect(await digestOf('with-account')).toBe(await digestOf('without-account'));
});

test('the digest changes with a key of image that is set to its default, and the earlier digest does not', async () => {
  const files = { '1/model.onnx': 'not a graph' };
  await store.write('plain-image', { ...files, 'model.yaml': 'image: { color: rgb }' });
  await store.write('set-image', { ...files, 'model.yaml': 'image: { color: rgb, fit: fill }' });
  const digests = async (name: string) => {
    const folder = path.join(store.folder, name);
    const [version] = await findVersionFolders(folder);
    if (!version) throw new Error(`${name} has no version`);
    const [contents, manifest] = [await readContents(version), await readModelManifest(folder)];
    return { now: sourceDigest(contents, manifest), earlier: earlierDigest(contents, manifest) };
  };

  const [plain, set] = [await digests('plain-image'), await digests('set-image')];

  expect(set.now).not.toBe(plain.now);
  expect(set.earlier).toBe(plain.earlier);
});
