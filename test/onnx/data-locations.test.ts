/** Which data files an ONNX file names, found without holding what it says beside them. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-locations-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A field of protobuf with a length. */
function field(number: number, content: Buffer): Buffer {
  const length: number[] = [];
  let rest = content.length;
  for (; rest > 127; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128);
  return Buffer.concat([Buffer.from([number * 8 + 2, ...length, rest]), content]);
}

test('a tensor of millions of short fields is read in little memory', async () => {
  const entry = [field(1, Buffer.from('location')), field(2, Buffer.from('w.data'))];
  // Eight million times doc_string, of no characters; the heap of the process below has room for far fewer objects.
  const tensor = Buffer.concat([
    Buffer.alloc(16_000_000, Buffer.from([12 * 8 + 2, 0])),
    field(13, Buffer.concat(entry)),
  ]);
  const file = path.join(folder, 'model.onnx');
  await writeFile(file, field(7, field(5, Buffer.concat([tensor, Buffer.from([14 * 8, 1])]))));

  const script = `
    import { findDataLocations } from ${JSON.stringify(path.resolve('dist/onnx/data-locations.js'))};
    console.log([...(await findDataLocations(${JSON.stringify(file)}, 10)).keys()].join());`;
  const args = ['--max-old-space-size=64', '--input-type=module', '--eval', script];
  const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', env: {} });

  expect({ status, stdout }).toEqual({ status: 0, stdout: 'w.data\n' });
});
