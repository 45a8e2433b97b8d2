/** The flat frames of batches of numbers: they arrive as they were sent, and a payload that is not whole is rejected. */
import { PassThrough } from 'node:stream';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { encodeFrame, FrameChannel } from '#src/engine/frames.js';

const HEADER_BYTES = 8;

/** The messages in the bytes, and why the rest of them was rejected. */
async function read(...frames: readonly Uint8Array[]): Promise<{ messages: unknown[]; broken: string[] }> {
  const stream = new PassThrough();
  const messages: unknown[] = [];
  const broken: string[] = [];
  new FrameChannel(stream, { onMessage: (one) => messages.push(one), onProtocolError: (one) => broken.push(one) });
  await new Promise<void>((resolve) => stream.write(Buffer.concat(frames), () => setImmediate(resolve)));
  return { messages, broken };
}

/** The frame of a payload, with its right length and checksum. */
function framed(payload: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(payload.length, 0);
  header.writeUInt32LE(crc32(payload), 4);
  return Buffer.concat([header, payload]);
}

const numbers = fc.oneof(
  fc.float32Array({ noNaN: true }),
  fc.float64Array({ noNaN: true }),
  fc.int8Array(),
  fc.uint16Array(),
  fc.bigInt64Array(),
  fc.bigUint64Array(),
);
const count = fc.integer({ min: 0, max: 2 ** 32 - 2 });
const amount = fc.double({ min: 0, max: 1e9 });
const batch = fc.record({
  kind: fc.constant('numericBatch'),
  id: count,
  key: fc.string({ unit: 'binary' }),
  counts: fc.array(count),
  inputs: fc.array(numbers, { maxLength: 3 }),
  areTensors: fc.boolean(),
  announceStart: fc.boolean(),
  measureUse: fc.boolean(),
});
const values = fc.oneof(numbers, fc.array(fc.string({ unit: 'binary' })));
const outputs = fc.array(fc.record({ shape: fc.array(count, { maxLength: 4 }), data: values }), { maxLength: 3 });
const failure = fc.record({ kind: fc.constantFrom('inference', 'memory'), message: fc.string({ unit: 'binary' }) });
const ran = fc.record({
  kind: fc.constant('ran'),
  id: count,
  runs: fc.array(
    fc.oneof(fc.record({ items: fc.array(count), outputs }), fc.record({ items: fc.array(count), failure })),
  ),
  timing: fc.record({ preprocessMs: amount, inferMs: amount, postprocessMs: amount }),
  use: fc.option(fc.record({ cpuMs: amount, grownBytes: fc.option(amount) })),
});

test('batches of numbers and their replies arrive as they were sent, beside other messages', async () => {
  const other = fc.record({ kind: fc.constantFrom('batch', 'done'), id: count, values: numbers });
  const property = fc.asyncProperty(fc.array(fc.oneof(batch, ran, other), { maxLength: 5 }), async (sent) => {
    expect(await read(...sent.map(encodeFrame))).toEqual({ messages: sent, broken: [] });
  });

  await fc.assert(property, { numRuns: 300, seed: 20_261_126 });
});

test('numbers arrive with all their bits: NaN, infinity, zero below zero and whole numbers of 64 bits', async () => {
  const inputs = [
    Float32Array.of(Number.NaN, Number.NEGATIVE_INFINITY, -0),
    BigInt64Array.of(2n ** 63n - 1n, -(2n ** 63n)),
    BigUint64Array.of(2n ** 64n - 1n),
    Float16Array.of(0.5, 65_504),
    new Float64Array(0),
  ];
  const [message] = (await read(encodeFrame({ kind: 'numericBatch', id: 1, key: 'v', counts: [1], inputs }))).messages;

  expect((message as { inputs: unknown }).inputs).toEqual(inputs);
});

const withoutBigInts = (_: string, value: unknown) => (typeof value === 'bigint' ? Number(value) : value);

const WHOLE = [
  {
    kind: 'numericBatch',
    id: 7,
    key: 'key',
    counts: [1, 2],
    inputs: [Float32Array.of(1, 2, 3), BigInt64Array.of(1n, 2n, 3n)],
    areTensors: false,
    announceStart: true,
    measureUse: false,
  },
  {
    kind: 'ran',
    id: 7,
    runs: [
      { items: [0], outputs: [{ shape: [1, 3], data: Float64Array.of(1, 2, 3) }] },
      { items: [1], failure: { kind: 'inference', message: 'Div by 0' } },
    ],
    timing: { preprocessMs: 0, inferMs: 1, postprocessMs: 0 },
    use: { cpuMs: 1, grownBytes: 2 },
  },
];

test.each(WHOLE)(
  'a $kind whose lengths are corrupt is rejected, or is another message of the same size',
  async (sent) => {
    const payload = encodeFrame(sent).subarray(HEADER_BYTES);
    for (let at = 0; at + 4 <= payload.length; at += 4) {
      for (const wrong of [0, 1, 5, 0x7fff_ffff, 0x8000_0000, 0xffff_fffc, 0xffff_ffff]) {
        const damaged = Buffer.from(payload);
        damaged.writeUInt32LE(wrong, at);
        const { messages, broken } = await read(framed(damaged));
        expect({ at, wrong, received: messages.length + broken.length }).toEqual({ at, wrong, received: 1 });
        // Bytes of a text that are no Unicode arrive as U+FFFD, which is longer.
        const [other] = messages.filter((message) => !/\ufffd/.test(JSON.stringify(message, withoutBigInts)));
        if (other) expect(encodeFrame(other).length).toBe(HEADER_BYTES + payload.length);
      }
    }
  },
);

test.each(WHOLE)('a $kind that is cut off or has more bytes than it says is rejected', async (sent) => {
  const payload = encodeFrame(sent).subarray(HEADER_BYTES);
  const cuts = Array.from({ length: payload.length }, (_, length) => payload.subarray(0, length));

  for (const wrong of [...cuts, Buffer.concat([payload, Buffer.alloc(4)])])
    expect(await read(framed(wrong))).toEqual({ messages: [], broken: [expect.stringMatching(/cannot be decoded/)] });
});

test('the bytes between the parts of a payload are zero, whatever the memory held before', () => {
  for (let i = 0; i < 50; i++) Buffer.allocUnsafe(200).fill(0xab);
  const message = { ...WHOLE[0], key: 'k', inputs: [Uint8Array.of(1)] };

  const payload = encodeFrame(message).subarray(HEADER_BYTES);

  expect(payload.includes(0xab)).toBe(false);
});
