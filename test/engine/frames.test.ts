/** Framing of messages over a byte stream that may split, corrupt or truncate them. */
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { encodeFrame, FrameChannel, MAX_FRAME_BYTES } from '#src/engine/frames.js';

function receiver() {
  const stream = new PassThrough();
  const messages: unknown[] = [];
  const broken: string[] = [];
  new FrameChannel(stream, {
    onMessage: (message) => messages.push(message),
    onProtocolError: (reason) => broken.push(reason),
  });
  /** Resolves when everything that was written has been read. */
  const write = (bytes: Uint8Array) => new Promise<void>((resolve) => stream.write(bytes, () => setImmediate(resolve)));
  return { write, messages, broken };
}

test('messages arrive complete and in order, however the stream splits them', async () => {
  const message = fc.record({
    kind: fc.string(),
    data: fc.float32Array({ noNaN: true }),
    list: fc.array(fc.bigInt64Array()),
  });
  const property = fc.asyncProperty(
    fc.array(message, { maxLength: 5 }),
    fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
    async (sent, cuts) => {
      const { write, messages, broken } = receiver();
      const bytes = Buffer.concat(sent.map(encodeFrame));
      for (let start = 0, i = 0; start < bytes.length; i++) {
        const length = cuts[i % cuts.length] as number;
        await write(bytes.subarray(start, start + length));
        start += length;
      }
      expect(messages).toEqual(sent);
      expect(broken).toEqual([]);
    },
  );

  await fc.assert(property, { numRuns: 100, seed: 20_261_124 });
});

test('a frame with any byte changed is rejected, and nothing after it is read', async () => {
  const frame = encodeFrame({ kind: 'done', data: Float32Array.of(1, 2, 3) });
  for (let at = 0; at < frame.length; at++) {
    const damaged = Buffer.from(frame);
    damaged[at] = (damaged[at] as number) ^ 0x10;
    const { write, messages, broken } = receiver();
    await write(damaged);
    await write(encodeFrame({ kind: 'later' }));

    // A changed length (bytes 0 to 3) may be valid but larger: the channel then waits for more bytes.
    expect({ at, messages, isKnown: broken.length === 1 || at < 4 }).toEqual({ at, messages: [], isKnown: true });
  }
});

test('a frame with a length over the limit is rejected by its header alone', async () => {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(MAX_FRAME_BYTES + 1, 0);
  const { write, broken } = receiver();

  await write(header);

  expect(broken).toEqual([`a frame claims ${MAX_FRAME_BYTES + 1} bytes; the limit is ${MAX_FRAME_BYTES}`]);
});
