/**
 * Asks face-api's own tiny face detector about pictures that are decoded already.
 *
 *     node faces.mjs <folder of node_modules> <pictures.json> <answers.json>
 *
 * pictures.json: [{ file, width, height }], each file raw RGB bytes row by row. answers.json: for each picture its
 * faces, best score first, every score above 0.01: { score, box: { xmin, ymin, xmax, ymax } } in pixels of the picture,
 * just as face-api gives them.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const [modules, picturesFile, answersFile] = process.argv.slice(2);
const require = createRequire(join(modules, 'here.js'));
// The build that needs no native addon.
const faceApi = require('@vladmandic/face-api/dist/face-api.node-wasm.js');
const packageFolder = dirname(require.resolve('@vladmandic/face-api/package.json'));
const { tf } = faceApi;

await tf.setBackend('wasm');
await tf.ready();
await faceApi.nets.tinyFaceDetector.loadFromDisk(join(packageFolder, 'model'));

const answers = [];
for (const { file, width, height } of JSON.parse(readFileSync(picturesFile, 'utf8'))) {
  const pixels = tf.tensor3d(new Uint8Array(readFileSync(file)), [height, width, 3], 'int32');
  const options = new faceApi.TinyFaceDetectorOptions({ inputSize: 416, scoreThreshold: 0.01 });
  const found = await faceApi.detectAllFaces(pixels, options);
  answers.push(
    found
      .map(({ score, box }) => ({ score, box: { xmin: box.left, ymin: box.top, xmax: box.right, ymax: box.bottom } }))
      .sort((a, b) => b.score - a.score),
  );
  pixels.dispose();
}
writeFileSync(answersFile, JSON.stringify(answers));
console.log(`${answers.length} pictures answered by face-api ${faceApi.version} on tfjs ${tf.version_core}, ${tf.getBackend()}`);
