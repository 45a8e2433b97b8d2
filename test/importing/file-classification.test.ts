/** Models that read the bytes of files: what they read of a file, and what clients send. */
import { bytesRead, MAX_FILE_BYTES } from '#src/tasks/bytes.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { huggingFaceFolders } from '../support/hugging-face.js';
import { createStore, type TestStore } from '../support/model-store.js';

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { input output { ... on Classification { label score classes { label score } } } }
  problem { code ... on InvalidInput { problems { path code message } } } } }`;
const SIGNATURE = '{ version(ref: "files") { signature { inputKind example labels } } }';

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  await store.write('files', huggingFaceFolders()['tiny-file-types'] as Record<string, string>);
  app = await startTestApp({ modelStore: store.folder });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

async function send(bytes: string): Promise<Data> {
  return app.send(PREDICT, { input: { model: 'files', input: { bytes } } });
}

const base64 = (bytes: string | Buffer) => Buffer.from(bytes as string).toString('base64');
/** Of "text", for values with this mean. */
const textScore = (mean: number) => 1 / (1 + Math.exp(2 * (mean / 10 - 10)));

test('the signature says that the input is a file, and has an example', async () => {
  const { version } = await app.query(SIGNATURE);

  expect(version.signature).toEqual({
    inputKind: 'BYTES',
    example: { bytes: expect.stringMatching(/^[A-Za-z0-9+/]+=*$/) },
    labels: ['text', 'binary'],
  });
});

test.each([
  ['base64', base64('AAAAAAAA'), 65],
  ['a data: URL', `data:application/octet-stream;base64,${base64('AAAAAAAA')}`, 65],
  ['a file with whitespace around it', base64('\n\t AAAAAAAA \r\n'), 65],
  ['a file with other bytes in the middle', base64(`AAAA${'\xff'.repeat(1000)}AAAA`), 65],
  ['a short file', base64('A'), (2 * 65 + 6 * 256) / 8],
])('%s is read', async (_what, bytes, mean) => {
  const { data } = await send(bytes);

  const score = textScore(mean);
  expect(data.predict.problem).toBeNull();
  expect(data.predict.prediction).toEqual({
    input: { bytes },
    output: {
      label: score > 0.5 ? 'text' : 'binary',
      score: expect.closeTo(Math.max(score, 1 - score), 5),
      classes: expect.anything(),
    },
  });
});

test.each([
  ['an empty file', '', 'EMPTY', 'the file is empty'],
  ['other characters', 'not base64!', 'UNREADABLE', 'the value is not valid base64'],
  ['a data: URL of text', 'data:text/plain,AAAA', 'UNREADABLE', 'the data: URL is not encoded as base64'],
  ['a large file', base64(Buffer.alloc(MAX_FILE_BYTES + 1)), 'TOO_LARGE', 'the file is too large'],
])('%s is refused', async (_what, bytes, code, message) => {
  const { data } = await send(bytes);

  expect(data.predict).toEqual({
    prediction: null,
    problem: { code: 'INVALID_INPUT', problems: [{ path: ['input', 'input', 'bytes'], code, message }] },
  });
});

test('a file costs by its size, however little of it the model reads', async () => {
  const requested = async (bytes: number) => (await send(base64(Buffer.alloc(bytes, 65)))).extensions.cost.requested;

  const [small, medium, large] = [await requested(1_000), await requested(1_500_000), await requested(6_000_000)];

  expect(medium - small).toBeGreaterThan(20);
  expect((large - small) / (medium - small)).toBeCloseTo(4, 0);
});

// The values are those of the features of magika 1.0: lstrip and rstrip of a block at each end, then its outermost bytes.
test.each([
  ['AB', { begin: 4, end: 4 }, [65, 66, 256, 256, 256, 256, 65, 66]],
  ['ABCDEF', { begin: 4, end: 4 }, [65, 66, 67, 68, 67, 68, 69, 70]],
  [' \n\x0bA\x85 ', { begin: 2, end: 2 }, [65, 133, 65, 133]],
  ['          A', { begin: 2, end: 1, stripWithin: 4 }, [256, 256, 65]],
  ['A          ', { begin: 1, end: 2, stripWithin: 4 }, [65, 256, 256]],
  ['   ', { begin: 1, end: 1 }, [256, 256]],
  [' A', { begin: 3, end: 0, stripWithin: null }, [32, 65, 256]],
  ['A ', { begin: 0, end: 1, stripWithin: null }, [32]],
])('of %j, %j reads %j', (text, spec, values) => {
  const file = Buffer.from(text, 'latin1');

  expect(Array.from(bytesRead(file, { padding: 256, stripWithin: 8, ...spec }))).toEqual(values);
});
