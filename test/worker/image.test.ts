/** Image preprocessing compared with Pillow and the Hugging Face image processors: see `goldens/make-images.py`. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import sharp from 'sharp';
import type { ImageSpec } from '#src/tasks/spec.js';
import { imageToFloats, UnreadableImageError } from '#src/worker/native/image.js';
import { gradient, pixelBomb, withAppended } from '../support/images.ts';

const GOLDENS = path.resolve('test/worker/goldens');
const MAX_PIXELS = 25_000_000;

interface Levels {
  readonly picture: string;
  readonly width: number;
  readonly height: number;
  readonly at: number;
}

interface Goldens {
  readonly decoded: readonly Levels[];
  readonly grey: readonly Levels[];
  readonly resized: readonly (Levels & { readonly resample: ImageSpec['resample'] })[];
  readonly cropped: readonly Levels[];
  readonly sizes: readonly {
    readonly source: readonly [number, number];
    readonly resize: ImageSpec['resize'];
    readonly content: readonly [number, number];
  }[];
  readonly processed: readonly {
    readonly processor: string;
    readonly spec: Partial<ImageSpec>;
    readonly shape: readonly [number, number, number];
    readonly at: number;
  }[];
}

/** A resized image, as `goldens/make-resizes.py` writes it. */
interface Resize {
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
  readonly resample: ImageSpec['resample'];
  readonly png: string;
  /** Base64 of the levels, as interleaved RGB. */
  readonly levels: string;
}

const resizes: readonly Resize[] = JSON.parse(readFileSync(path.join(GOLDENS, 'resizes.json'), 'utf8'));
const goldens: Goldens = JSON.parse(readFileSync(path.join(GOLDENS, 'images.json'), 'utf8'));
const golden = gunzipSync(readFileSync(path.join(GOLDENS, 'images.bin.gz')));

/** Keeps the decoded levels unchanged, as interleaved RGB. */
const LEVELS: ImageSpec = {
  resize: null,
  resample: 'bilinear',
  pillow: 13,
  crop: null,
  pad: null,
  color: 'rgb',
  layout: 'NHWC',
  rescaleFactor: 1,
  mean: [0, 0, 0],
  std: [1, 1, 1],
};

// Importing image.ts blocks other decoders in the whole process, and other tests need them.
afterAll(() => sharp.unblock({ operation: ['VipsForeignLoad'] }));

function stored(name: string): Buffer {
  return readFileSync(path.join(GOLDENS, 'pictures', name));
}

function preprocess(bytes: Uint8Array, spec: Partial<ImageSpec> = {}, maxPixels = MAX_PIXELS) {
  return imageToFloats(bytes, { ...LEVELS, ...spec }, maxPixels);
}

/** The largest difference between two arrays of the same length. */
function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  return Math.max(...Array.from(actual, (value, i) => Math.abs(value - (expected[i] as number))));
}

const levelsAt = (at: number, count: number) => golden.subarray(at, at + count);

/** Mean and standard deviation of ImageNet, for levels from 0 to 255. */
const IMAGENET = { rescaleFactor: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

describe('decoding equals Pillow bit for bit', () => {
  test.each(goldens.decoded)('$picture', async ({ picture, width, height, at }) => {
    const { data, ...sizes } = await preprocess(stored(picture));

    const content = { contentWidth: width, contentHeight: height, left: 0, top: 0 };
    expect(sizes).toEqual({ width, height, sourceWidth: width, sourceHeight: height, ...content });
    expect(difference(data, levelsAt(at, 3 * width * height))).toBe(0);
  });

  test.each([
    [{ isGreyFirst: true }, 1],
    [{}, 0],
  ] as const)('colors become gray before or after the image is resized: %j', async (order, level) => {
    const pixels = Buffer.from([0, 0, 0, 1, 0, 2]);
    const png = await sharp(pixels, { raw: { width: 2, height: 1, channels: 3 } })
      .png()
      .toBuffer();
    const resize = { kind: 'exact', width: 1, height: 1 } as const;

    expect([...(await preprocess(png, { color: 'grey', resize, ...order })).data]).toEqual([level]);
  });

  test.each(goldens.grey)('$picture in grayscale', async ({ picture, at }) => {
    const { data, width, height } = await preprocess(stored(picture), { color: 'grey' });

    expect(difference(data, levelsAt(at, width * height))).toBe(0);
  });
});

describe('resizing', () => {
  test.each(goldens.resized)(
    '$picture to $width × $height with $resample equals Pillow bit for bit',
    async ({ picture, resample, width, height, at }) => {
      const { data } = await preprocess(stored(picture), { resize: { kind: 'exact', width, height }, resample });

      expect(difference(data, levelsAt(at, 3 * width * height))).toBe(0);
    },
  );

  test.each(resizes)(
    '$from to $to with $resample equals OpenCV 5 and Pillow 13 bit for bit',
    async ({ png, to: [width, height], resample, levels }) => {
      const resize = { kind: 'exact', width, height } as const;

      const { data } = await preprocess(Buffer.from(png, 'base64'), { resize, resample });

      expect(difference(data, Buffer.from(levels, 'base64'))).toBe(0);
    },
  );

  test('specs of earlier releases keep their order of passes', async () => {
    const { png, levels } = resizes.find(({ from, resample }) => from[1] === 20 && resample === 'bilinear') as Resize;
    const { pillow: _, ...earlier } = LEVELS;
    const resize = { kind: 'exact', width: 6, height: 6 } as const;

    const { data } = await imageToFloats(Buffer.from(png, 'base64'), { ...earlier, resize }, MAX_PIXELS);

    expect(difference(data, Buffer.from(levels, 'base64'))).toBe(1);
  });

  test('computes the same target sizes as Hugging Face', async () => {
    for (const { source, resize, content } of goldens.sizes) {
      const image = await gradient(...source)
        .png()
        .toBuffer();

      const { width, height, contentWidth, contentHeight } = await preprocess(image, { resize, resample: 'nearest' });

      expect({ source, resize, content: [width, height] }).toEqual({ source, resize, content });
      expect([contentWidth, contentHeight]).toEqual(content);
    }
  });

  test('keeps every edge at 1 pixel or more', async () => {
    const image = await gradient(300, 2).png().toBuffer();

    const inside = await preprocess(image, { resize: { kind: 'inside', width: 20, height: 20 } });
    const shortest = await preprocess(image, { resize: { kind: 'shortest', edge: 8, longest: 20 } });

    expect(inside).toMatchObject({ width: 20, height: 1 });
    expect(shortest).toMatchObject({ width: 20, height: 1 });
  });
});

describe('cropping and padding', () => {
  test.each(goldens.cropped)('a crop to $width × $height equals that of Hugging Face', async (one) => {
    const { width, height, at } = one;
    const crop = { width, height };

    const preprocessed = await preprocess(stored('rgb.png'), { crop });

    expect(preprocessed).toMatchObject({ ...crop, contentWidth: 45, contentHeight: 31 });
    expect(difference(preprocessed.data, levelsAt(at, 3 * width * height))).toBe(0);
  });

  test('a crop reports the position of the image, negative where it was cut off', async () => {
    const { left, top } = await preprocess(stored('rgb.png'), { crop: { width: 30, height: 36 } });

    expect({ left, top }).toEqual({ left: -7, top: 3 });
  });

  test('padding keeps the image at the top left and fills the rest with the padding level', async () => {
    const image = stored('rgb.png');
    const scale = { rescaleFactor: 1 / 255, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] };
    const resize = { kind: 'inside', width: 20, height: 20 } as const;
    const alone = await preprocess(image, { resize, ...scale });

    const padded = await preprocess(image, { resize, ...scale, pad: { width: 20, height: 20, level: 114 } });

    expect(padded).toMatchObject({ width: 20, height: 20, contentWidth: 20, contentHeight: 13, left: 0, top: 0 });
    const free = [0, 1, 2].map((c) => Math.fround((114 / 255 - (scale.mean[c] ?? 0)) / (scale.std[c] ?? 1)));
    const rest = Array.from({ length: 20 * 7 }, () => free).flat();
    expect(difference(padded.data, [...alone.data, ...rest])).toBe(0);
  });

  test('centered padding in a color puts an odd row at the bottom, as Ultralytics does', async () => {
    const resize = { kind: 'inside', width: 20, height: 20, rounds: true } as const;
    const pad = { width: 20, height: 20, level: [114, 115, 116], position: 'center' } as const;

    const { data, ...frame } = await preprocess(stored('rgb.png'), { resize, pad });

    // 31 rows of 45 become 13.8, which is rounded to 14.
    expect(frame).toMatchObject({ contentWidth: 20, contentHeight: 14, left: 0, top: 3 });
    expect([...data.subarray(0, 3)]).toEqual([114, 115, 116]);
    expect([...data.subarray(-3)]).toEqual([114, 115, 116]);
    const odd = await preprocess(stored('rgb.png'), { resize, pad: { ...pad, height: 21 } });
    expect(odd).toMatchObject({ top: 3, height: 21 });
  });

  test('padding after normalization holds values of the tensor', async () => {
    const pad = { width: 46, height: 31, level: 0, isNormalized: true } as const;

    const { data } = await preprocess(stored('rgb.png'), { ...IMAGENET, pad });

    expect([...data.subarray(45 * 3, 46 * 3)]).toEqual([0, 0, 0]);
  });

  test('an image larger than the padded size is cropped at the right and bottom', async () => {
    const { data } = await preprocess(stored('rgb.png'), { pad: { width: 2, height: 1, level: 0 } });

    expect([...data]).toEqual([...(await preprocess(stored('rgb.png'))).data.subarray(0, 6)]);
  });
});

describe('normalization', () => {
  test('values are computed in double precision and rounded once', async () => {
    const levels = await preprocess(stored('rgb.png'));

    const { data } = await preprocess(stored('rgb.png'), IMAGENET);

    const { rescaleFactor, mean, std } = IMAGENET;
    const expected = levels.data.map((level, i) => (level * rescaleFactor - (mean[i % 3] ?? 0)) / (std[i % 3] ?? 1));
    expect(difference(data, expected)).toBe(0);
  });

  test.each(goldens.processed)('values equal those of $processor within 1e-6', async ({ spec, shape, at }) => {
    const [channels, height, width] = shape;
    const values = new Float32Array(golden.buffer, golden.byteOffset + at, channels * height * width);

    const preprocessed = await preprocess(stored('large.png'), { layout: 'NCHW', ...spec });

    expect(preprocessed).toMatchObject({ width, height });
    expect(difference(preprocessed.data, values)).toBeLessThanOrEqual(1e-6);
  });
});

describe('channels and layout', () => {
  test('NCHW holds the values of NHWC plane by plane', async () => {
    const { data: interleaved } = await preprocess(stored('rgb.png'), IMAGENET);

    const { data: planes } = await preprocess(stored('rgb.png'), { ...IMAGENET, layout: 'NCHW' });

    const byPlane = [0, 1, 2].flatMap((channel) => [...interleaved.filter((_, i) => i % 3 === channel)]);
    expect(difference(planes, byPlane)).toBe(0);
  });

  test('BGR reverses the channels before mean and std apply', async () => {
    const rgb = await preprocess(stored('rgb.png'), { layout: 'NCHW' });

    const bgr = await preprocess(stored('rgb.png'), { layout: 'NCHW', color: 'bgr', mean: [1, 2, 3] });

    const size = rgb.width * rgb.height;
    const turned = [2, 1, 0].flatMap((from, to) =>
      [...rgb.data.subarray(from * size, (from + 1) * size)].map((level) => level - (to + 1)),
    );
    expect(difference(bgr.data, turned)).toBe(0);
  });

  test('grayscale has one channel and is the same in both layouts', async () => {
    const [planes, interleaved] = await Promise.all(
      (['NCHW', 'NHWC'] as const).map((layout) => preprocess(stored('rgb.png'), { color: 'grey', layout })),
    );

    expect(planes?.data.length).toBe(45 * 31);
    expect(planes?.data).toEqual(interleaved?.data);
  });
});

/** The message with which an image is refused. */
async function refusal(bytes: Uint8Array, spec: Partial<ImageSpec> = {}, maxPixels = MAX_PIXELS): Promise<string> {
  const error = await preprocess(bytes, spec, maxPixels).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(UnreadableImageError);
  return (error as Error).message;
}

describe('limits', () => {
  test('an image over the pixel limit is refused by its header alone', async () => {
    expect(await refusal(pixelBomb(5_001, 5_000))).toMatch(/pixel limit/);
    expect(await refusal(stored('rgb.png'), {}, 45 * 31 - 1)).toMatch(/pixel limit/);
    expect(await preprocess(stored('rgb.png'), {}, 45 * 31)).toBeDefined();
  });

  test('a long and narrow image is refused before it is decoded', async () => {
    const shortest = { kind: 'shortest', edge: 224, longest: null } as const;

    expect(await refusal(pixelBomb(1, 10_000_000), { resize: shortest })).toMatch(/pixel limit/);
    expect(await refusal(pixelBomb(10_000_000, 1))).toMatch(/pixel limit/);
    expect(await refusal(pixelBomb(60_000, 1), { resize: shortest })).toMatch(/60000 × 1, .* pixel limit/);
  });
});

describe('damaged and unsupported files', () => {
  test.each(['baseline.jpg', 'progressive.jpg', 'cmyk.jpg', 'rgb.png', 'interlaced.png', 'lossy.webp', 'alpha.webp'])(
    '%s is refused when it is truncated anywhere',
    async (name) => {
      const bytes = stored(name);
      for (const share of [0, 0.1, 0.5, 0.9]) await refusal(bytes.subarray(0, Math.floor(share * bytes.length)));
    },
  );

  test('bytes that are not JPEG, PNG or WebP are refused, whatever their signature', async () => {
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
    const gif = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64');
    const tiff = await gradient(9, 9).tiff().toBuffer();
    const heads = [
      [],
      [0xff, 0xd8, 0xff],
      [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
      [...Buffer.from('RIFF....WEBP')],
    ];

    for (const bytes of [svg, gif, tiff, Buffer.alloc(0), Buffer.from('P6 1 1 255 abc')])
      for (const head of heads) await refusal(Buffer.concat([Buffer.from(head), bytes]));
  });

  test('bytes that follow the image are ignored', async () => {
    const { data } = await preprocess(stored('rgb.png'));

    expect((await preprocess(withAppended(stored('rgb.png'), 'zip'))).data).toEqual(data);
  });
});
