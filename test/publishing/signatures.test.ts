/** Signatures of publishers, made by the library of OpenSSF Model Signing (see `goldens/`), over real HTTP. */
import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { signerOfFolder } from '#src/importing/signed-folder.js';
import { PublisherKeys } from '#src/signing/publisher-keys.js';
import { openDatabases } from '#src/storage/database.js';
import type { Data } from '../support/app.js';
import { type Files, PublishingClient } from '../support/publishing-client.js';
import { RestartableApp } from '../support/restartable-app.js';
import { until } from '../support/until.js';

const GOLDENS = path.resolve('test/publishing/goldens');
const FOLDER = ['README.md', 'model.yaml', '1/model.onnx'];
const PUBLISH = `mutation ($input: PublishInput!) { publish(input: $input) { publication { id }
  problem { code ... on InvalidInput { problems { path code message expected received } } } } }`;
const VERSIONS =
  'query ($name: String!) { model(name: $name) { versions { nodes { number state stateReason signedBy } } } }';

let server: RestartableApp;
let client: PublishingClient;
let folder: string;
let publisherKeysFile: string;
let files: Files;
/** Publications with a signature that was verified, and without one. */
let first: Data;
let unsigned: Data;
/** Ids of the uploads of `files`. */
let uploads: Record<string, string>;
/** A publisher whose private key the test has. */
const mine = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const fingerprintOf = (key: KeyObject) =>
  createHash('sha256')
    .update(key.export({ type: 'spki', format: 'pem' }))
    .digest('hex');
const golden = (name: string) => readFile(path.join(GOLDENS, 'signatures', `${name}.sig`));
const hintOf = async (name: string) => JSON.parse(String(await golden(name))).verificationMaterial.publicKey.hint;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-publishers-'));
  publisherKeysFile = path.join(folder, 'publishers.pem');
  const publishers = await readFile(path.join(GOLDENS, 'signatures/publishers.pem'), 'utf8');
  await writeFile(publisherKeysFile, publishers + mine.publicKey.export({ type: 'spki', format: 'pem' }));
  const read = FOLDER.map(async (file) => [file, await readFile(path.join(GOLDENS, 'signed', file))]);
  files = Object.fromEntries(await Promise.all(read));
  server = await RestartableApp.create();
  const signature = await golden('p256');
  await server.store.write('stored', { ...files, 'model.sig': signature, '.DS_Store': 'hidden' });
  await server.store.write('plain', files);
  await server.store.write('changed', { ...files, 'README.md': '# Changed', 'model.sig': signature });
  await server.store.write('added', { ...files, '1/config.json': '{}', 'model.sig': signature });
  await server.start({ publisherKeysFile });
  const admin = await new PublishingClient(() => server.running.url, null).withKey('ops', ['ADMIN']);
  client = admin;
  uploads = {};
  for (const [file, content] of Object.entries(files)) uploads[file] = await client.upload(content);
  for (const name of ['echo', 'strict']) await client.register(name, 'TENSOR');
});
afterAll(async () => {
  await server.remove();
  await rm(folder, { recursive: true, force: true });
});

async function publish(model: string, signature: Buffer | string | null, more: object = {}): Promise<Data> {
  const sent: Record<string, string> = { ...uploads };
  if (signature !== null) sent['model.sig'] = await client.upload(signature);
  const listed = Object.entries(sent).map(([path, upload]) => ({ path, upload }));
  return (await client.send(PUBLISH, { input: { model, files: listed, ...more } })).publish;
}

async function published(model: string, signature: Buffer | string | null): Promise<Data> {
  const { publication, problem } = await publish(model, signature);
  expect(problem).toBeNull();
  const ended = await client.ended(publication.id);
  expect(ended.problem).toBeNull();
  return ended;
}

/** By number. */
async function versionsOf(name: string): Promise<Data[]> {
  const { nodes } = (await client.send(VERSIONS, { name })).model.versions;
  return nodes.sort((a: Data, b: Data) => a.number - b.number);
}

/** A signature of a statement by the key of the test, as the library writes it. */
function signed(payload: Buffer | string, type = 'application/vnd.in-toto+json'): Data {
  const bytes = Buffer.from(payload);
  const toSign = Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${type} ${bytes.length} `), bytes]);
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: { publicKey: { hint: fingerprintOf(mine.publicKey) }, tlogEntries: [] },
    dsseEnvelope: {
      payload: bytes.toString('base64'),
      payloadType: type,
      signatures: [{ sig: sign('sha256', toSign, mine.privateKey).toString('base64'), keyid: '' }],
    },
  };
}

function payloadOf(signature: Buffer): Data {
  return JSON.parse(String(Buffer.from(JSON.parse(String(signature)).dsseEnvelope.payload, 'base64')));
}

/** The statement with resources, and with their digest as its subject. */
function withResources(statement: Data, resources: readonly Data[]): Data {
  const hash = createHash('sha256');
  for (const { digest } of resources) hash.update(digest, 'hex');
  const subject = [{ name: 'x', digest: { sha256: hash.digest('hex') } }];
  return { ...statement, subject, predicate: { ...statement['predicate'], resources } };
}

test('a folder that its publisher has signed is published, and its version says with which key', async () => {
  const certificate = await golden('certificate');
  const unhinted = JSON.parse(String(await golden('p521')));
  unhinted.verificationMaterial = { publicKey: {} };

  first = await published('echo', await golden('p256'));
  await published('echo', JSON.stringify(unhinted));
  await published('echo', certificate);
  const again = await published('echo', await golden('p256'));
  unsigned = await published('echo', null);
  const versions = await versionsOf('echo');
  const log = (await client.send('{ auditLog(first: 50) { nodes { action target after } } }')).auditLog.nodes;

  const p256 = await hintOf('p256');
  expect(versions.map(({ signedBy }) => signedBy)).toEqual([
    p256,
    await hintOf('p521'),
    expect.stringMatching(/^[0-9a-f]{64}$/),
  ]);
  expect(first.publishedVersion.ref).toBe('echo:1');
  // The same files, signed by the same key, are the same version; without a signature, a version of these files is.
  expect(again.publishedVersion.ref).toBe('echo:1');
  expect(unsigned['publishedVersion'].ref).toMatch(/^echo:[1-3]$/);
  const entries = log.filter(({ target, after }: Data) => target.startsWith('echo') && after.signedBy === p256);
  expect(entries.map(({ action }: Data) => action)).toEqual(['publish', 'publishVersion', 'publish']);
});

test('a file that was changed, added or removed since it was signed refuses the publication, and is named', async () => {
  const signature = await client.upload(await golden('p256'));
  const send = async (change: Record<string, string | null>, more: object = {}) => {
    const sent = { ...uploads, ...change, 'model.sig': signature };
    const listed = Object.entries(sent).flatMap(([path, upload]) => (upload === null ? [] : [{ path, upload }]));
    const { problem } = (await client.send(PUBLISH, { input: { model: 'strict', files: listed, ...more } })).publish;
    return problem.problems;
  };
  const other = await client.upload('other bytes');

  expect(await send({ '1/model.onnx': other })).toEqual([
    {
      path: ['input', 'files', '2', 'path'],
      code: 'UNREADABLE',
      message: '1/model.onnx: this file is not the one that was signed: its SHA-256 differs',
      expected: createHash('sha256')
        .update(files['1/model.onnx'] as Buffer)
        .digest('hex'),
      received: createHash('sha256').update('other bytes').digest('hex'),
    },
  ]);
  expect(await send({ 'config.json': other })).toMatchObject(
    [
      {
        path: ['input', 'files', '3', 'path'],
        code: 'WRONG_KIND',
        message: /^config\.json: model\.sig does not cover/,
      },
    ].map((one) => ({ ...one, message: expect.stringMatching(one.message) })),
  );
  expect(await send({ 'README.md': null })).toMatchObject([
    { path: ['input', 'files'], code: 'MISSING', message: 'README.md: this file is signed, but missing' },
  ]);
  // In place of a file that was signed, and with other names.
  const renamed = await send({ 'README.md': null, 'readme.md': uploads['README.md'] as string });
  expect(renamed.map(({ code }: Data) => code)).toEqual(['WRONG_KIND', 'MISSING']);
  // A manifest beside the files is not signed.
  const beside = await send({ 'model.yaml': null }, { manifest: { task: 'tensor' } });
  expect(beside).toMatchObject([{ code: 'MISSING', message: 'model.yaml: this file is signed, but missing' }]);
  expect(await versionsOf('strict')).toEqual([]);
});

test('a manifest that is sent beside files that are all signed is refused', async () => {
  const { 'model.yaml': _, ...rest } = uploads;
  const resources = payloadOf(await golden('p256'))['predicate'].resources.filter(
    ({ name }: Data) => name !== 'model.yaml',
  );
  const statement = withResources(payloadOf(await golden('p256')), resources);
  const signature = await client.upload(JSON.stringify(signed(JSON.stringify(statement))));
  const listed = Object.entries({ ...rest, 'model.sig': signature }).map(([path, upload]) => ({ path, upload }));
  const input = { model: 'strict', files: listed, manifest: { task: 'tensor' } };

  const { problem } = (await client.send(PUBLISH, { input })).publish;

  expect(problem.problems).toMatchObject([{ path: ['input', 'manifest'], code: 'WRONG_KIND' }]);
});

test('a signature that is forged, foreign, of another kind or no signature refuses the publication, and says why', async () => {
  const genuine = String(await golden('p256'));
  const statement = payloadOf(Buffer.from(genuine));
  const { resources } = statement['predicate'];
  const edited = (change: (bundle: Data) => void) => {
    const bundle = JSON.parse(genuine);
    change(bundle);
    return JSON.stringify(bundle);
  };
  const resigned = (change: (statement: Data) => Data) => JSON.stringify(signed(JSON.stringify(change(statement))));
  const renamed = (name: string) => resigned((one) => withResources(one, [...resources, { ...resources[0], name }]));
  const other = Buffer.from(JSON.stringify({ ...statement, subject: [] })).toString('base64');
  const envelopeOf = ({ dsseEnvelope }: Data) => dsseEnvelope;
  const material = (value: object) =>
    edited((bundle) => {
      bundle['verificationMaterial'] = value;
    });
  const cases: readonly (readonly [string, string | Buffer, RegExp])[] = [
    // The envelope.
    [
      'another payload',
      edited((b) => {
        envelopeOf(b).payload = other;
      }),
      /its key has not made this signature/,
    ],
    [
      'the signature of another payload',
      edited((b) => {
        envelopeOf(b).signatures = envelopeOf(signed('{}')).signatures;
      }),
      /its key has not made/,
    ],
    [
      'another payload type',
      edited((b) => {
        envelopeOf(b).payloadType = 'text/plain';
      }),
      /payloadType is not accepted/,
    ],
    [
      'a payload of another type, signed as such',
      JSON.stringify(signed(JSON.stringify(statement), 'text/plain')),
      /payloadType is not/,
    ],
    [
      'a type that is said to be another one',
      edited((b) => {
        Object.assign(b, signed(JSON.stringify(statement), 'text/plain'));
        envelopeOf(b).payloadType = 'application/vnd.in-toto+json';
      }),
      /its key has not made/,
    ],
    [
      'no signature',
      edited((b) => {
        envelopeOf(b).signatures = [];
      }),
      /signatures is not accepted/,
    ],
    [
      'two signatures',
      edited((b) => {
        envelopeOf(b).signatures.push(envelopeOf(signed('{}')).signatures[0]);
      }),
      /signatures is not accepted/,
    ],
    [
      'no base64',
      edited((b) => {
        envelopeOf(b).payload = '{"a":1}';
      }),
      /payload is not accepted/,
    ],
    [
      'base64 with other characters between',
      edited((b) => {
        envelopeOf(b).payload = `\n${envelopeOf(b).payload}`;
      }),
      /payload is not accepted/,
    ],
    [
      'base64 for URLs',
      edited((b) => {
        envelopeOf(b).signatures[0].sig = '-_-_';
      }),
      /sig is not accepted/,
    ],
    [
      'an empty payload',
      edited((b) => {
        envelopeOf(b).payload = '';
      }),
      /payload is not accepted/,
    ],
    [
      'bytes that are no signature',
      edited((b) => {
        envelopeOf(b).signatures[0].sig = 'AAAA';
      }),
      /its key has not made/,
    ],
    // The key.
    ['of a key that is not accepted', await golden('foreign'), /its key is not accepted/],
    [
      'of a key that is not accepted, and not named',
      (() => {
        const one = JSON.parse(String(genuine));
        one.verificationMaterial = { publicKey: {} };
        envelopeOf(one).payload = other;
        return JSON.stringify(one);
      })(),
      /no accepted key has made/,
    ],
    [
      'with the name of another accepted key',
      material({ publicKey: { hint: fingerprintOf(mine.publicKey) } }),
      /its key has not made/,
    ],
    ['with a name that is no name', material({ publicKey: { hint: 1 } }), /hint is not accepted/],
    [
      'without material',
      edited((b) => {
        delete b['verificationMaterial'];
      }),
      /verificationMaterial is not accepted/,
    ],
    ['keyless', material({ certificate: { rawBytes: 'AAAA' }, tlogEntries: [{}] }), /keyless: Fulcio and Rekor/],
    [
      'keyless, of earlier releases',
      material({ x509CertificateChain: { certificates: [] }, tlogEntries: [{}] }),
      /keyless/,
    ],
    // The bundle.
    [
      'of another media type',
      edited((b) => {
        b['mediaType'] = 'application/json';
      }),
      /mediaType is not accepted/,
    ],
    ['empty', '', /not accepted/],
    ['cut off', genuine.slice(0, 100), /the bundle is not accepted/],
    ['no object', '[1]', /the bundle is not accepted/],
    [
      'without an envelope',
      edited((b) => {
        delete b['dsseEnvelope'];
      }),
      /dsseEnvelope is not accepted/,
    ],
    ['with an envelope in its prototype', genuine.replace('"dsseEnvelope"', '"__proto__"'), /dsseEnvelope is not/],
    [
      'no UTF-8',
      Buffer.concat([Buffer.from('"'), Buffer.from([0xff]), Buffer.from('"')]),
      /the bundle is not accepted/,
    ],
    ['nested deeply', '['.repeat(500_000), /the bundle is not accepted/],
    ['of too many values', `[${'0,'.repeat(200_000)}0]`, /the bundle is not accepted/],
    ['too large', `"${'x'.repeat(512 * 1024)}"`, /too large/],
    // The statement, with a signature that is right.
    [
      'of a statement of another type',
      resigned((one) => ({ ...one, _type: 'https://in-toto.io/Statement/v0.1' })),
      /_type is not/,
    ],
    [
      'of another predicate',
      resigned((one) => ({ ...one, predicateType: 'https://model_signing/Digests/v0.1' })),
      /predicateType is not/,
    ],
    ['of no statement', JSON.stringify(signed('no JSON')), /the statement is not accepted/],
    ['without subject', resigned((one) => ({ ...one, subject: [] })), /subject is not accepted/],
    [
      'with another digest of all',
      resigned((one) => ({ ...one, subject: [{ digest: { sha256: '0'.repeat(64) } }] })),
      /sha256 is not accepted/,
    ],
    ['without files', resigned((one) => withResources(one, [])), /resources is not accepted/],
    [
      'without serialization',
      resigned((one) => ({ ...one, predicate: { resources } })),
      /serialization is not accepted/,
    ],
    [
      'of another order',
      resigned((one) => ({ ...one, predicate: { ...one['predicate'], resources: resources.toReversed() } })),
      /sha256 is not accepted/,
    ],
    ['with a name twice', renamed('README.md'), /name is not accepted/],
    ['with a name outside', renamed('../../etc/passwd'), /name is not accepted/],
    ['with an absolute name', renamed('/etc/passwd'), /name is not accepted/],
    ['with a name that is written in another way', renamed('./README.md'), /name is not accepted/],
    ['with a name for Windows', renamed('1\\model.onnx'), /name is not accepted/],
    [
      'with a digest in upper case',
      resigned((one) =>
        withResources(one, [{ ...resources[0], digest: resources[0].digest.toUpperCase() }, ...resources.slice(1)]),
      ),
      /digest is not accepted/,
    ],
    ['of parts of files', await golden('shards'), /method is not accepted/],
    ['with other digests', await golden('blake2b'), /hash_type is not accepted/],
    ['of a single file', await golden('file'), /name is not accepted/],
    ['that ignores a file that is there', await golden('ignored'), /^README\.md: model\.sig does not cover this file/],
  ];

  for (const [kind, signature, message] of cases) {
    const { publication, problem } = await publish('strict', signature);
    const [first] = problem?.problems ?? [];
    expect({ kind, publication, ...first }).toMatchObject({
      kind,
      publication: null,
      message: expect.stringMatching(message),
    });
    const index = message.source.startsWith('^README') ? '0' : '3';
    expect(first.path).toEqual(['input', 'files', index, 'path']);
  }
  expect(await versionsOf('strict')).toEqual([]);
});

test('folders of the model store are verified when their versions are imported', async () => {
  const p256 = await hintOf('p256');

  expect(await versionsOf('stored')).toMatchObject([{ state: 'READY', signedBy: p256 }]);
  expect(await versionsOf('plain')).toMatchObject([{ state: 'READY', signedBy: null }]);
  expect(await versionsOf('changed')).toMatchObject([
    { state: 'FAILED', signedBy: null, stateReason: expect.stringMatching(/^README\.md: .* its SHA-256 differs/) },
  ]);
  expect(await versionsOf('added')).toMatchObject([
    { state: 'FAILED', stateReason: expect.stringMatching(/^1\/config\.json: model\.sig does not cover this file/) },
  ]);
  // What was wrong is put right, and a version is added that the signature does not cover.
  await server.store.write('changed', { 'README.md': files['README.md'] as Buffer });
  await server.store.write('stored', { '2/model.onnx': files['1/model.onnx'] as Buffer });
  await until('both are imported', async () => {
    const [changed] = await versionsOf('changed');
    return changed?.['state'] === 'READY' && (await versionsOf('stored')).length === 2;
  });
  expect(await versionsOf('changed')).toMatchObject([{ signedBy: p256 }]);
  expect(await versionsOf('stored')).toMatchObject([
    { state: 'READY', signedBy: p256 },
    { state: 'FAILED', stateReason: expect.stringMatching(/^2\/model\.onnx: model\.sig does not cover this file/) },
  ]);
});

test('a version that was changed after its folder was verified, while another one was imported, is not signed', async () => {
  const changing = path.join(folder, 'changing');
  await cp(path.join(GOLDENS, 'signed'), changing, { recursive: true });
  await writeFile(path.join(changing, 'model.sig'), await golden('p256'));
  const findSigner = await signerOfFolder(
    await PublisherKeys.open({ publisherKeysFile, requireSignature: true }),
    changing,
  );
  const ofFirst = await findSigner();
  await writeFile(path.join(changing, '1/model.onnx'), 'changed');

  expect(ofFirst).toBe(await hintOf('p256'));
  await expect(findSigner()).rejects.toThrow('its files were changed meanwhile');
});

test('with the policy, what is not signed is refused, and what is there stays', async () => {
  await server.stop();
  const { catalogDb, close } = await openDatabases(server.dataDir);
  const wait = (id: string, signed_by: string | null) =>
    catalogDb.updateTable('publication').set({ stage: 'RECEIVED', signed_by }).where('id', '=', id).execute();
  await wait(unsigned['id'], null);
  await wait(first['id'], 'f'.repeat(64));
  await close();
  await server.store.write('late', files);
  await server.start({ publisherKeysFile, requireSignature: true });
  const { problems } = (await publish('strict', null)).problem;
  await published('strict', await golden('p384'));

  expect((await versionsOf('strict')).map(({ signedBy }) => signedBy)).toEqual([await hintOf('p384')]);
  expect(problems).toMatchObject([
    { path: ['input', 'files'], code: 'MISSING', message: 'model.sig: this server accepts signed versions only' },
  ]);
  for (const [one, message] of [
    [unsigned, /accepts signed versions only/],
    [first, /its key is not accepted/],
  ] as const) {
    const { stage, problem } = await client.ended(one['id']);
    expect({ stage, message: problem.message }).toEqual({ stage: 'REFUSED', message: expect.stringMatching(message) });
  }
  expect(await versionsOf('plain')).toMatchObject([{ state: 'READY', signedBy: null }]);
  expect(await versionsOf('late')).toMatchObject([
    { state: 'FAILED', stateReason: expect.stringMatching(/^model\.sig: this server accepts signed versions only/) },
  ]);
});

test('without keys, a signature is neither trusted nor refused', async () => {
  const keys = await PublisherKeys.open({ publisherKeysFile: null, requireSignature: false });
  const of = (signatureFile: string) => keys.signerOf({ paths: new Set(), signatureFile, digestOf: () => null });

  expect(await of(path.join(GOLDENS, 'signatures/p256.sig'))).toBeNull();
  expect(await of(publisherKeysFile)).toBeNull();
});

test('a file of keys with anything but public keys for ECDSA is refused at start, and a signature that is a pipe is not read', async () => {
  const pem = (key: KeyObject) => String(key.export({ type: key.type === 'public' ? 'spki' : 'pkcs8', format: 'pem' }));
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
  const koblitz = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey;
  const ed25519 = generateKeyPairSync('ed25519').publicKey;
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['', /0 blocks PUBLIC KEY; expected 1 to 20/],
    [pem(mine.privateKey), /it has a block PRIVATE KEY; expected PUBLIC KEY/],
    [pem(mine.publicKey) + pem(rsa), /key 2 is not supported; expected one of the curve P-256/],
    [pem(koblitz), /key 1 is not supported/],
    [pem(ed25519), /key 1 is not supported/],
    ['-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----', /key 1 is not supported/],
    ['x'.repeat(70_000), /more than 65536 bytes/],
  ];
  const file = path.join(folder, 'wrong.pem');
  for (const [text, message] of wrong) {
    await writeFile(file, text);
    await expect(PublisherKeys.open({ publisherKeysFile: file, requireSignature: false })).rejects.toThrow(message);
  }
  const keys = await PublisherKeys.open({ publisherKeysFile, requireSignature: false });
  const pipe = path.join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  await expect(keys.signerOf({ paths: new Set(), signatureFile: pipe, digestOf: () => null })).rejects.toThrow(
    /model\.sig: it cannot be read; expected a regular file/,
  );
  await expect(
    PublisherKeys.open({ publisherKeysFile: path.join(folder, 'none.pem'), requireSignature: false }),
  ).rejects.toThrow(/PUBLISHER_KEYS_FILE=.*none\.pem: ENOENT/);
});
