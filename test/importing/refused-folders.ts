/**
 * Folders that the import refuses, one for each sentence that it says. `refusals.test.ts` imports them all, and finds
 * sentences that no folder has.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Data } from '../support/graphql-client.js';
import { huggingFaceFolders } from '../support/hugging-face.js';
import {
  CRASHING_DIVISION,
  encodeModel,
  type GraphSpec,
  identity,
  type TypeName,
  UNKNOWN_TEXT_INPUT,
} from '../support/onnx.js';

type Files = Readonly<Record<string, string | Buffer>>;

export interface RefusedFolder {
  readonly name: string;
  readonly files: Files;
  /** The reason: the whole of it, or a pattern where ONNX Runtime's words follow. */
  readonly reason: string | RegExp;
}

/** Weights in a file of their own, as PyTorch exports them. */
const inDataFile = (location: string) =>
  encodeModel({
    ...identity('x', 'FP32', ['N', 2]),
    nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
    floats: [{ name: 'w', shape: [2], data: [1, 2], file: { location, offset: 0 } }],
  });

const EXPORTS = path.resolve('test/importing/goldens/refused');
const HUB = huggingFaceFolders();

/** Made by real exporters; see goldens/make-refused.py. */
function exported(file: string): Buffer {
  return readFileSync(path.join(EXPORTS, `${file}.onnx`));
}

function graph(op: string, type: TypeName, from: (number | string)[] | null, to: (number | string)[]): GraphSpec {
  return {
    inputs: [{ name: 'x', type, shape: from }],
    outputs: [{ name: 'y', type, shape: to }],
    nodes: [{ op, inputs: ['x'], outputs: ['y'] }],
  };
}

const PAIR = encodeModel(identity('x', 'FP32', ['N', 2]));
const IDS = encodeModel(UNKNOWN_TEXT_INPUT);
const WORDS = encodeModel({
  inputs: [{ name: 'text', type: 'BYTES', shape: ['N', 'L', 2] }],
  outputs: [{ name: 'logits', type: 'BYTES', shape: ['N', 'L', 2] }],
  nodes: [{ op: 'Identity', inputs: ['text'], outputs: ['logits'] }],
});
const FLAT_LOGITS = encodeModel({
  inputs: ['input_ids', 'attention_mask'].map((name) => ({ name, type: 'INT64', shape: ['N', 'L'] })),
  outputs: [{ name: 'logits', type: 'INT64', shape: ['N', 3] }],
  nodes: [{ op: 'Add', inputs: ['input_ids', 'attention_mask'], outputs: ['logits'] }],
});
/** Scores with as many labels as there are tokens, after a Softmax. */
const softmaxOf = (shape: (number | string)[], ...between: string[]) =>
  encodeModel({
    inputs: ['input_ids', 'attention_mask'].map((name) => ({ name, type: 'INT64', shape: ['N', 'L'] })),
    outputs: [{ name: 'logits', type: 'FP32', shape }],
    nodes: [
      { op: 'Cast', inputs: ['input_ids'], outputs: ['x0'], attributes: [{ name: 'to', int: 1 }] },
      ...between.map((op, i) => ({ op, inputs: [`x${i}`, 'axes'], outputs: [`x${i + 1}`] })),
      { op: 'Softmax', inputs: [`x${between.length}`], outputs: ['logits'] },
    ],
    ints: [{ name: 'axes', shape: [1], data: [2] }],
  });
const SOFTMAX_LOGITS = softmaxOf(['N', 3]);
const SOFTMAX_TOKENS = softmaxOf(['N', 'L', 5], 'Unsqueeze');
const COLUMNS = 'columns: [{ name: p, type: number }, { name: q, type: number }]';
const SCORING = `task: tabular-classification\nlabels: ["no", "yes"]\noutput: { scores: y }\n`;
const REGRESSION = `task: tabular-regression\noutput: { value: y }\n`;
const IMAGES = `task: image-classification\nlabels: ["no", "yes"]\noutput: { scores: y }\n`;
const OPEN_BATCH =
  'PyTorch: dynamic_shapes, or dynamic_axes={"<input>": {0: "batch"}}; tf2onnx: input_signature with TensorSpec([None, …]); skl2onnx: FloatTensorType([None, …])';
const LOWER_26 =
  'PyTorch: opset_version=26; tf2onnx: --opset 26; skl2onnx: target_opset=26; any file: onnx.version_converter.convert_version(model, 26)';
const LOWER_IR =
  'lower it with m = onnx.load("model.onnx"); m.ir_version = 13; onnx.save(m, "model.onnx"), or export with an older onnx package';

function folder(name: string, model: Buffer, yaml: string, reason: string | RegExp, more: Files = {}): RefusedFolder {
  return { name, files: { '1/model.onnx': model, 'model.yaml': yaml, ...more }, reason };
}

/** A repository of the Hub with a change: files to replace, or to leave out with null. */
function hub(
  name: string,
  like: string,
  changes: Readonly<Record<string, string | Buffer | null>>,
  reason: string | RegExp,
): RefusedFolder {
  const files = Object.entries({ ...HUB[like], ...changes }).filter(([, content]) => content !== null);
  return { name, files: Object.fromEntries(files) as Files, reason };
}

/** A JSON file of a repository with a change. */
function changed(like: string, file: string, change: (content: Data) => Data): Record<string, string> {
  return { [file]: JSON.stringify(change(JSON.parse(HUB[like]?.[file] as string))) };
}

const golden = (cases: string) => ({ '1/golden.json': `{ "source": "NumPy", "tolerance": 1e-5, "cases": ${cases} }` });

/** As a part of a pattern. */
function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/** The words before those of ONNX Runtime. */
const starting = (words: string) => new RegExp(`^${escaped(words)}\\. ONNX Runtime: \\S`);

export const EXPORTED_WRONGLY: readonly RefusedFolder[] = [
  folder(
    'newest-onnx',
    exported('newest-onnx'),
    '',
    starting(
      `the ONNX file has IR version 14 and opset 28 of ai.onnx, and the highest supported are 13 and 26: export with a lower opset (${LOWER_26}), and if the IR version is still too high, ${LOWER_IR}`,
    ),
  ),
  folder(
    'newest-ir',
    encodeModel(identity('x', 'FP32', ['N']), { irVersion: 14 }),
    '',
    starting(`the ONNX file has IR version 14, and the highest supported is 13: ${LOWER_IR}`),
  ),
  folder(
    'newest-opset',
    exported('newest-opset'),
    '',
    starting(
      `the ONNX file has opset 28 of ai.onnx, and the highest supported is 26: export with a lower opset (${LOWER_26})`,
    ),
  ),
  folder(
    'tf2onnx-lookup',
    exported('tf2onnx-lookup'),
    '',
    starting(
      'the TensorFlow operator LookupTableFindV2 was left in the graph, because tf2onnx cannot convert it: do the string lookup outside the graph: export the layers after StringLookup, CategoryEncoding or TextVectorization, and let its input be the index of the category or token, which clients send encoded',
    ),
  ),
  folder(
    'tensorflow-image',
    encodeModel(graph('AdjustHueV2', 'FP32', ['N', 2], ['N', 2]), { producer: 'tf2onnx' }),
    '',
    starting(
      'the TensorFlow operator AdjustHueV2 was left in the graph, because tf2onnx cannot convert it: export the model without the layer that uses it, or with a higher --opset',
    ),
  ),
  folder(
    'newer-operator',
    encodeModel(graph('Gelu', 'FP32', ['N', 2], ['N', 2])),
    '',
    starting(
      'the graph uses the operator Gelu, which ONNX does not have in opset 13: export with a higher opset (opset_version, target_opset, --opset) if it is a newer operator, or without this custom operator',
    ),
  ),
  folder(
    'python-words',
    encodeModel({
      ...graph('Tokenizer', 'BYTES', ['N'], ['N', 1, 'T']),
      nodes: [
        {
          op: 'Tokenizer',
          inputs: ['x'],
          outputs: ['y'],
          domain: 'com.microsoft',
          attributes: [
            { name: 'mark', int: 0 },
            { name: 'mincharnum', int: 1 },
            { name: 'pad_value', string: '#' },
            { name: 'tokenexp', string: '(?u)\\b\\w+\\b' },
          ],
        },
      ],
    }),
    '',
    starting(
      "the graph splits texts by a regular expression of Python that ONNX Runtime cannot read (invalid perl operator: (?u), such as token_pattern with (?u): export with the same words in its own syntax, such as skl2onnx: options={TfidfVectorizer: {'tokenexp': r'[\\pL\\pN_]+'}} for r'(?u)\\b\\w+\\b'",
    ),
  ),
  folder(
    'contrib-operator',
    encodeModel({
      ...graph('Nope', 'FP32', ['N', 2], ['N', 2]),
      nodes: [{ op: 'Nope', inputs: ['x'], outputs: ['y'], domain: 'com.microsoft' }],
    }),
    '',
    starting(
      'the graph uses com.microsoft.Nope, which this ONNX Runtime does not have: export without this operator, for example without the optimization that made it',
    ),
  ),
  folder(
    'custom-operator',
    encodeModel({
      ...graph('Nope', 'FP32', ['N', 2], ['N', 2]),
      nodes: [{ op: 'Nope', inputs: ['x'], outputs: ['y'], domain: 'our.ops' }],
    }),
    '',
    'the ONNX file is not supported: node "y" (Nope) uses the unsupported operator domain "our.ops"; supported are ai.onnx, ai.onnx.ml, com.microsoft, and functions that the file defines: export without custom operators',
  ),
  folder(
    'xgboost-labels',
    exported('xgboost-labels'),
    'labels: [a, b, c]',
    starting(
      'the graph holds trees of several labels or targets in one operator, as onnxmltools exports an XGBClassifier of several labels or with num_parallel_tree, and loses them: train with n_estimators in place of num_parallel_tree; of several labels, train and export one model for each, and join the graphs, for example with onnx.compose.merge_models',
    ),
  ),
  folder(
    'init-zero',
    exported('sklearn-init-zero'),
    'labels: [a, b, c]',
    starting(
      'the trees of the graph have one start value for several classes, as skl2onnx exports GradientBoostingClassifier with init="zero": train and export it without init, or, if base_values of the TreeEnsembleClassifier is 0, remove this attribute with onnx',
    ),
  ),
  folder(
    'neighbors-of-targets',
    exported('sklearn-neighbors'),
    '',
    starting(
      'the graph declares a size that its node Co_Concat1 does not compute, as skl2onnx exports KNeighborsClassifier of several targets with different numbers of classes: train and export MultiOutputClassifier(KNeighborsClassifier()); for another model, remove the declared sizes with onnx: del model.graph.value_info[:]',
    ),
  ),
  folder(
    'radius',
    exported('sklearn-radius'),
    'task: tabular-regression\ncolumns: [{ name: a, type: number }, { name: b, type: number }]',
    /add a real input as example to model\.yaml, in the same form, or correct the export\. The graph looks up a place that it has not found \(-1\), as skl2onnx exports RadiusNeighborsClassifier and RadiusNeighborsRegressor, whose graphs fail for rows that are not near to all rows of the training: train and export KNeighborsClassifier or KNeighborsRegressor\. ONNX Runtime: \S/,
  ),
  folder(
    'knn-imputer',
    exported('sklearn-knn-imputer'),
    '',
    'the ONNX file is not supported: it has a KNNImputer (the functions dist_nan_euclidean and knn_imputer_column of skl2onnx), which crashes ONNX Runtime for some rows with missing values: export the model with SimpleImputer',
  ),
  folder(
    'torch-double',
    exported('torch-double'),
    '',
    starting(
      'ONNX Runtime has no implementation of LeakyRelu for these datatypes: export the model in float32 (PyTorch: model.float(); skl2onnx: FloatTensorType), or cast to float32 inside the graph',
    ),
  ),
  folder(
    'mixed-types',
    encodeModel({ ...graph('Identity', 'FP32', ['N'], ['N']), outputs: [{ name: 'y', type: 'FP64', shape: ['N'] }] }),
    '',
    starting(
      'the graph mixes datatypes that do not fit together: export it again with one float type (skl2onnx and onnxmltools: FloatTensorType in initial_types and float32 data in fit; PyTorch: model.float())',
    ),
  ),
  folder(
    'unknown-name',
    encodeModel({
      ...graph('Add', 'FP32', ['N'], ['N']),
      nodes: [{ op: 'Add', inputs: ['x', 'z'], outputs: ['y'] }],
    }),
    '',
    starting(
      'the ONNX file cannot be loaded: export it again, and find the fault with onnx.checker.check_model(model, full_check=True)',
    ),
  ),
  folder(
    'no-shape',
    encodeModel(graph('Identity', 'FP32', null, ['N'])),
    '',
    'the ONNX file is not supported: input "x" has no shape: export it with one, whose sizes may be open (tf2onnx: input_signature with TensorSpec([None, …]); onnx: make_tensor_value_info(name, type, ["N", …]))',
  ),
  folder(
    'bfloat16',
    encodeModel(identity('x', 'BF16', ['N'])),
    '',
    /^the ONNX file is not supported: input "x" is bfloat16, which ONNX Runtime for Node does not support; cast it to float32 inside the graph/,
  ),
  folder(
    'git-lfs',
    Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n'),
    '',
    'the ONNX file is not supported: it is a pointer of Git LFS, not the graph: fetch the graph with git lfs pull',
  ),
  folder('noise', Buffer.from('noise'), '', /^the ONNX file is not supported: the file is not a complete ONNX file: /),
];

const FROZEN = (shape: string, size: number) =>
  `input "x" has shape ${shape}: its first size, the batch, is frozen at ${size}, but inputs come one at a time: export with an open batch size (${OPEN_BATCH}), or with a batch size of 1`;

export const FROZEN_BATCH: readonly RefusedFolder[] = [
  folder(
    'torch-frozen-batch',
    exported('torch-frozen-batch'),
    `${SCORING.replace('y }', 'linear_1, activation: softmax }')}${COLUMNS}`,
    FROZEN('[8, 2]', 8),
  ),
  folder(
    'sklearn-frozen-batch',
    exported('sklearn-frozen-batch'),
    `task: tabular-classification\n${COLUMNS}`,
    FROZEN('[16, 2]', 16),
  ),
  folder(
    'frozen-reshape',
    encodeModel({
      ...graph('Reshape', 'FP32', ['N', 2], ['N', 2]),
      nodes: [{ op: 'Reshape', inputs: ['x', 'shape'], outputs: ['y'] }],
      ints: [{ name: 'shape', shape: [2], data: [4, 2] }],
    }),
    '',
    new RegExp(
      `^${escaped('the graph cannot run the example, which was generated because model.yaml has none ({"tensors":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[0,0]}]}): add a real input as example to model.yaml, in the same form, or correct the export. The graph reshapes [1,2] to the fixed shape [4,2]: if its first size is the batch, it was frozen by the export; export with an open batch size')}`,
    ),
  ),
];

/** Reflection pads by one value on both sides, which needs two. */
const REFLECTING: GraphSpec = {
  ...graph('Pad', 'FP32', ['N', 'T'], ['N', 'T']),
  nodes: [{ op: 'Pad', inputs: ['x', 'pads'], outputs: ['y'], attributes: [{ name: 'mode', string: 'reflect' }] }],
  ints: [{ name: 'pads', shape: [4], data: [0, 1, 0, 1] }],
};

const GENERATED =
  'the example, which was generated because model.yaml has none ({"tensors":[{"name":"x","datatype":"FP32","shape":[1,1],"data":[0]}]})';

const LOG_SCORES = encodeModel(graph('Log', 'FP32', ['N', 2], ['N', 2]));

export const EXAMPLES: readonly RefusedFolder[] = [
  folder(
    'generated-example',
    encodeModel(REFLECTING),
    '',
    new RegExp(
      `^${escaped(`the graph cannot run ${GENERATED}: add a real input as example to model.yaml, in the same form, or correct the export. ONNX Runtime: `)}\\S`,
    ),
  ),
  folder(
    'own-example',
    encodeModel(REFLECTING),
    'example: { tensors: [{ name: x, datatype: FP32, shape: [1, 1], data: [0] }] }',
    /^the graph cannot run the example in model\.yaml: correct it, or the export\. ONNX Runtime: \S/,
  ),
  folder(
    'crashing-example',
    encodeModel(CRASHING_DIVISION),
    'example: { tensors: [{ name: a, datatype: INT32, shape: [1], data: [-2147483648] }, { name: b, datatype: INT32, shape: [1], data: [-1] }] }',
    'the graph cannot run the example in model.yaml: correct it, or the export. The graph crashes ONNX Runtime: the inference process ended (signal SIGFPE)',
  ),
  folder(
    'image-not-an-answer',
    encodeModel({
      inputs: [{ name: 'x', type: 'FP32', shape: ['N', 3, 8, 8] }],
      outputs: [{ name: 'y', type: 'FP32', shape: ['N', 3] }],
      nodes: [
        { op: 'GlobalAveragePool', inputs: ['x'], outputs: ['mean'] },
        { op: 'Flatten', inputs: ['mean'], outputs: ['flat'] },
        { op: 'Neg', inputs: ['flat'], outputs: ['negative'] },
        { op: 'Sqrt', inputs: ['negative'], outputs: ['y'] },
      ],
    }),
    'task: image-classification\nlabels: [a, b, c]\noutput: { scores: y }\nimage: { color: rgb }',
    /^the graph's outputs for the example, which was generated because model\.yaml has none \(\{"image":\{"base64":"…"\}\}\) are not a valid answer: /,
  ),
  folder(
    'not-an-answer',
    LOG_SCORES,
    `${SCORING}columns: [{ name: p, type: number, example: -1 }, { name: q, type: number, example: 1 }]`,
    /^the graph's outputs for the row of the columns' examples in model\.yaml are not a valid answer: correct it, or output in model\.yaml, or the export\. A score is not a finite number$/,
  ),
  folder(
    'misfit-example',
    PAIR,
    'example: { tensors: [{ name: x, datatype: FP32, shape: [1, 3], data: [0, 0, 0] }] }',
    /^model\.yaml: the example is not a valid input: example\.tensors\.0\.shape\.1: this size does not match the model/,
  ),
  folder(
    'huge-example',
    encodeModel(identity('x', 'FP32', ['N', 10_000, 10_000])),
    '',
    'input "x" has shape [any, 10000, 10000], which is too large for a generated example: add example to model.yaml',
  ),
  folder(
    'column-out-of-range',
    PAIR,
    `${SCORING}columns: [{ name: p, type: number, minimum: 5, maximum: 1 }, { name: q, type: number }]`,
    'model.yaml: the minimum of column "p" is 5, above its maximum 1: correct one of them',
  ),
  folder(
    'no-integer-in-range',
    PAIR,
    `${SCORING}columns: [{ name: p, type: integer, minimum: 0.2, maximum: 0.8 }, { name: q, type: number }]`,
    /^model\.yaml: add an example; the generated one is not a valid input: example\.row\.p: the value is outside the accepted range/,
  ),
  folder(
    'text-as-example',
    PAIR,
    `${SCORING}columns: [{ name: p, type: number, example: x }, { name: q, type: number }]`,
    "model.yaml: the row of the columns' examples is not a valid input: example.row.p: this column takes a number",
  ),
];

export const MANIFESTS: readonly RefusedFolder[] = [
  folder(
    'no-columns',
    PAIR,
    SCORING,
    'model.yaml: columns is missing: list one { name, type } for each of the 2 features, in order',
  ),
  folder(
    'column-twice',
    PAIR,
    `${SCORING}columns: [{ name: p, type: number }, { name: p, type: number }]`,
    'model.yaml: column "p" is listed twice',
  ),
  folder(
    'no-categories',
    encodeModel(identity('x', 'BYTES', ['N', 2])),
    `${SCORING}columns: [{ name: p, type: category }, { name: q, type: text }]`,
    /model\.yaml: column "p" is a category without categories: list those that the model knows/,
  ),
  folder(
    'column-of-no-input',
    PAIR,
    `${SCORING}columns: [{ name: p, type: number, input: z }, { name: q, type: number }]`,
    'model.yaml: column "p" feeds input "z", but the graph\'s inputs are x: correct its name, or set its input',
  ),
  folder(
    'deep-rows',
    encodeModel(identity('x', 'FP32', ['N', 2, 2, 2])),
    `task: tabular-regression\noutput: { value: y }\n${COLUMNS}`,
    /input "x" has shape \[any, 2, 2, 2\]; rows need \[any\] or \[any, columns\], and a time series \[any, steps, columns\]: export the graph with such an input, or leave out columns in model\.yaml to send tensors/,
  ),
  folder(
    'too-few-columns',
    PAIR,
    `${SCORING}columns: [{ name: p, type: number }]`,
    'model.yaml: the number of columns is 1, but input "x" has shape [any, 2]',
  ),
  folder(
    'text-for-numbers',
    PAIR,
    `${SCORING}columns: [{ name: p, type: text }, { name: q, type: number }]`,
    'model.yaml: column "p" is TEXT, but input "x" is FP32: declare it as category, with categories in the order of their indices in the graph',
  ),
  folder(
    'label-twice',
    PAIR,
    `${SCORING.replace('"yes"', '"no"')}${COLUMNS}`,
    'model.yaml: label "no" is listed twice',
  ),
  folder(
    'three-labels',
    PAIR,
    `${SCORING.replace('"yes"', '"yes", "maybe"')}${COLUMNS}`,
    'model.yaml: the number of labels is 3, but output "y" has shape [any, 2]',
  ),
  folder(
    'truth-labels',
    PAIR,
    `${SCORING.replace('"no", "yes"', 'False, True')}${COLUMNS}`,
    'model.yaml: labels.0: is false, but must be a text: put it in quotes, such as "false"; model.yaml: labels.1: is true, but must be a text: put it in quotes, such as "true"',
  ),
  folder(
    'number-labels',
    PAIR,
    `${SCORING.replace('"no", "yes"', '3, 5')}${COLUMNS}`,
    'model.yaml: labels.0: is 3, but must be a text: put it in quotes, such as "3"; model.yaml: labels.1: is 5, but must be a text: put it in quotes, such as "5"',
  ),
  folder(
    'no-such-scores',
    PAIR,
    `${SCORING.replace('scores: y', 'scores: z')}${COLUMNS}`,
    'model.yaml: output.scores is "z", but the graph\'s outputs are y',
  ),
  folder(
    'no-such-value',
    PAIR,
    `${REGRESSION.replace('value: y', 'value: z')}${COLUMNS}`,
    'model.yaml: output.value is "z", but the graph\'s outputs are y',
  ),
  folder(
    'text-value',
    encodeModel(identity('x', 'BYTES', ['N'])),
    `${REGRESSION}columns: [{ name: p, type: text }]`,
    /^output "y" is BYTES, but a regression needs numbers: name another output in output\.value of model\.yaml/,
  ),
  folder('bad-yaml', PAIR, 'task: [', /^model\.yaml is not valid YAML: /),
  folder(
    'targets-of-several-outputs',
    encodeModel({
      inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
      outputs: [
        { name: 'y', type: 'FP32', shape: ['N', 2] },
        { name: 'z', type: 'FP32', shape: ['N', 4] },
      ],
      nodes: [
        { op: 'Neg', inputs: ['x'], outputs: ['y'] },
        { op: 'Concat', inputs: ['x', 'x'], outputs: ['z'], attributes: [{ name: 'axis', int: 1 }] },
      ],
    }),
    'task: tabular-regression\ntargets: [a, b, c]\ncolumns: [{ name: p, type: number }, { name: q, type: number }]',
    'model.yaml: the number of targets is 3, but 2 outputs have 6 values for each input: "y" has 2 values, "z" has 4 values',
  ),
  folder(
    'unknown-task',
    PAIR,
    'task: image-tagging',
    /^model\.yaml: task: "image-tagging" is unknown; use one of tabular-classification, .*image-classification, /,
  ),
  folder(
    'misspelled-key',
    PAIR,
    'task: tensor\nlables: [a, b]',
    'model.yaml: unknown key "lables"; did you mean labels?',
  ),
  folder(
    'misspelled-keys',
    PAIR,
    'task: tensor\ncolumns: [{ name: a, type: number, maximun: 1, minimun: 0 }]',
    'model.yaml: columns.0: unknown key "maximun"; did you mean maximum?; unknown key "minimun"; did you mean minimum?',
  ),
  folder(
    'reserved-account',
    PAIR,
    'account: system',
    /^model\.yaml: account: must be 1 to 64 of a-z, 0-9 and "-", none of /,
  ),
  folder('unknown-key', PAIR, 'colour: blue', /^model\.yaml: unknown key "colour"; use one of task, owner, /),
  {
    name: 'yaml-folder',
    files: { '1/model.onnx': PAIR, 'model.yaml/inside': '' },
    reason: 'model.yaml cannot be read: it is not a regular file',
  },
  {
    name: 'no-graph',
    files: { '1/README': '' },
    reason: '1/model.onnx is missing',
  },
  hub(
    'unknown-tag',
    'tiny-sst',
    { 'README.md': '---\npipeline_tag: text-to-speech\n---' },
    /^README\.md: pipeline_tag "text-to-speech" is not supported\. Use one of .*, or set task in model\.yaml, which takes precedence$/,
  ),
  folder('no-golden-cases', PAIR, '', /^golden\.json: .*at least one case is required/s, golden('[]')),
  folder('python-golden', PAIR, '', /^golden\.json is not valid JSON: .*write null and "Infinity"/, golden('[NaN]')),
  folder(
    'other-answer',
    PAIR,
    '',
    'golden.json: case 0 differs from NumPy: number 0 of output "y" is 1, expected 2',
    golden(
      '[{ "input": { "tensors": [{ "name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 1] }] }, "expect": { "tensors": { "y": [2, 1] } } }]',
    ),
  ),
  folder(
    'other-input',
    PAIR,
    '',
    /^golden\.json\.cases\.0\.input\.tensors\.0\.datatype: the datatype does not match input "x"/,
    golden(
      '[{ "input": { "tensors": [{ "name": "x", "datatype": "FP64", "shape": [1, 2], "data": [1, 1] }] }, "expect": { "tensors": { "y": [1, 1] } } }]',
    ),
  ),
];

export const REPOSITORIES: readonly RefusedFolder[] = [
  hub(
    'no-config',
    'tiny-sst',
    { 'config.json': null, 'README.md': '---\npipeline_tag: text-classification\n---' },
    /config\.json is missing: add it with the labels in id2label, or set labels and output\.scores in model\.yaml/,
  ),
  hub(
    'label-gap',
    'tiny-sst',
    changed('tiny-sst', 'config.json', (config) => ({ ...config, id2label: { 0: 'A', 2: 'B' } })),
    /^config\.json: id2label has "2" where "1" is expected; number the labels from 0 without gaps/,
  ),
  hub('bad-config', 'tiny-sst', { 'config.json': '{' }, /^config\.json is not valid JSON: /),
  hub(
    'no-tokenizer',
    'tiny-sst',
    { 'tokenizer.json': null },
    'tokenizer.json is missing: write it with save_pretrained(folder) of a fast tokenizer (vocab.txt or SentencePiece files alone are not supported)',
  ),
  hub(
    'no-ids',
    'tiny-sst',
    { 'onnx/model.onnx': encodeModel(identity('attention_mask', 'INT64', ['N', 'L'])) },
    /the graph has no input "input_ids": export it with optimum-cli export onnx, which gives the inputs these names/,
  ),
  hub(
    'unknown-input',
    'tiny-sst',
    { 'onnx/model.onnx': IDS },
    /input "bbox" \(INT64 \[any, any\]\) is not supported; text graphs can have input_ids, attention_mask, token_type_ids, position_ids, as INT64 or INT32: export it with optimum-cli export onnx, which gives the inputs these names/,
  ),
  hub(
    'strings-for-tokens',
    'tiny-mlm',
    { 'onnx/model.onnx': WORDS },
    /input "text" is BYTES, but FILL_MASK needs a graph that takes tokens: export it with the inputs input_ids and attention_mask/,
  ),
  hub(
    'no-entailment',
    'tiny-nli',
    changed('tiny-nli', 'config.json', (config) => ({ ...config, id2label: { 0: 'a', 1: 'b', 2: 'c' } })),
    /^config\.json: id2label has no label that begins with "entail"; .* \(found: a, b, c\)/,
  ),
  hub(
    'no-mask',
    'tiny-mlm',
    {
      ...changed('tiny-mlm', 'tokenizer_config.json', ({ mask_token: _, ...config }) => config),
      ...changed('tiny-mlm', 'tokenizer.json', ({ added_tokens, ...file }) => ({
        ...file,
        added_tokens: added_tokens.filter(({ content }: Data) => content !== '[MASK]'),
      })),
    },
    'tokenizer_config.json: mask_token is missing; fill-mask needs it',
  ),
  hub(
    'mixed-poolings',
    'tiny-sentences',
    changed('tiny-sentences', '1_Pooling/config.json', (modes) => ({ ...modes, pooling_mode_max_tokens: true })),
    '1_Pooling/config.json: the pooling mean and max is not supported; use mean, cls, max or lasttoken, or export the pooling as part of the graph, with an output sentence_embedding (optimum-cli export onnx --library sentence_transformers)',
  ),
  hub(
    'weighted-pooling',
    'tiny-sentences',
    changed('tiny-sentences', '1_Pooling/config.json', (modes) => ({
      ...modes,
      pooling_mode_weightedmean_tokens: true,
    })),
    /^1_Pooling\/config\.json: the pooling mean and weightedmean is not supported; use .*, or export the pooling as part of the graph/,
  ),
  hub(
    'no-pooling-file',
    'tiny-sentences',
    { '1_Pooling/config.json': null },
    '1_Pooling/config.json is missing; modules.json refers to it for the pooling: add it, or set output.pooling in model.yaml',
  ),
  hub(
    'softmax-inference',
    'tiny-nli',
    { 'onnx/model.onnx': SOFTMAX_LOGITS },
    'the graph ends in Softmax, but ZERO_SHOT_CLASSIFICATION compares the logits of output "logits": export the model without it',
  ),
  hub(
    'softmax-tokens',
    'tiny-ner',
    { 'model.yaml': 'output: { activation: softmax }', 'onnx/model.onnx': SOFTMAX_TOKENS },
    /^model\.yaml: output\.activation is softmax, but the graph already ends in Softmax, so that output "logits" has probabilities: remove activation from output/,
  ),
  hub(
    'flat-logits',
    'tiny-ner',
    { 'model.yaml': 'output: { scores: logits }', 'onnx/model.onnx': FLAT_LOGITS },
    /output "logits" has shape \[any, 3\]; TOKEN_CLASSIFICATION needs 3 dimensions: name another output in output\.scores of model\.yaml/,
  ),
  hub(
    'unlabeled-detector',
    'tiny-yolos',
    changed('tiny-yolos', 'config.json', ({ id2label: _, ...config }) => config),
    /labels is missing: add id2label to config\.json, or labels to model\.yaml/,
  ),
  hub(
    'long-prompt',
    'tiny-sentences',
    { 'config_sentence_transformers.json': JSON.stringify({ prompts: { a: 'a'.repeat(4_001) } }) },
    /^config_sentence_transformers\.json: .*; at most 256 prompts of 4000 characters are supported$/,
  ),
  hub(
    'two-rankings',
    'tiny-ranker',
    { 'onnx/model.onnx': HUB['tiny-sst']?.['onnx/model.onnx'] as Buffer },
    /output "logits" has shape \[any, 2\], but TEXT_RANKING needs one score for each pair of a query and a document: export a model with num_labels 1, or set task: text-classification in model\.yaml/,
  ),
  hub(
    'softmax-ranking',
    'tiny-ranker',
    { 'model.yaml': 'output: { activation: softmax }' },
    'model.yaml: output.activation is softmax, but a single score has no softmax: remove it, or use none',
  ),
  hub(
    'dense-ranker',
    'tiny-ranker',
    {
      'modules.json': JSON.stringify(
        ['Transformer', 'Dense'].map((type, idx) => ({ idx, name: String(idx), path: '', type: `st.models.${type}` })),
      ),
      'config_sentence_transformers.json': JSON.stringify({ model_type: 'CrossEncoder' }),
    },
    'modules.json: the module st.models.Dense is not supported; export it as part of the graph; or set output.scores in model.yaml',
  ),
  hub(
    'flat-detector',
    'tiny-yolos',
    { 'onnx/model.onnx': null, 'model.yaml': '' },
    /there is no graph: add 1\/model\.onnx, or onnx\/model\.onnx in a Hugging Face repository/,
  ),
];

const inPreprocessor = (change: Data) =>
  changed('tiny-vit', 'preprocessor_config.json', (settings) => ({ ...settings, ...change }));

export const DATA_FILES: readonly RefusedFolder[] = [
  folder(
    'lost-data',
    inDataFile('model.onnx.data'),
    '',
    /^model\.onnx keeps weights in the file "model\.onnx\.data", which is missing/,
  ),
  folder(
    'data-outside',
    inDataFile('../model.onnx.data'),
    '',
    'model.onnx keeps weights in the file "../model.onnx.data", but data files are read from the version\'s folder only: export the model again with a plain file name',
  ),
];

export const IMAGE_FOLDERS: readonly RefusedFolder[] = [
  hub(
    'resample-4',
    'tiny-vit',
    inPreprocessor({ resample: 4 }),
    'preprocessor_config.json: resample 4 is not supported; use 0 (nearest), 1 (lanczos), 2 (bilinear) or 3 (bicubic)',
  ),
  hub(
    'no-mean',
    'tiny-vit',
    inPreprocessor({ do_normalize: true, image_mean: null }),
    'preprocessor_config.json: image_mean or image_std is missing; add both, or set do_normalize to false',
  ),
  hub(
    'special-processor',
    'tiny-vit',
    inPreprocessor({ image_processor_type: 'GLPNImageProcessor', size_divisor: 32 }),
    /^preprocessor_config\.json: GLPNImageProcessor uses .*, which is not supported; describe the preprocessing with image in model\.yaml$/,
  ),
  hub(
    'unknown-processor',
    'tiny-vit',
    inPreprocessor({ image_processor_type: 'TimmWrapperImageProcessor' }),
    'preprocessor_config.json: TimmWrapperImageProcessor is not supported, because its rules are not known; describe the preprocessing with image in model.yaml',
  ),
  hub(
    'no-shortest-edge',
    'tiny-vit',
    inPreprocessor({ image_processor_type: 'ConvNextImageProcessor' }),
    'preprocessor_config.json: size needs shortest_edge, which is what ConvNext reads',
  ),
  hub(
    'wide-poolformer',
    'tiny-vit',
    inPreprocessor({ image_processor_type: 'PoolFormerImageProcessor', size: { height: 8, width: 9 } }),
    'preprocessor_config.json: size of PoolFormer needs one length, but is 9 x 8; describe the preprocessing with image in model.yaml',
  ),
  hub(
    'no-size',
    'tiny-vit',
    inPreprocessor({ do_resize: true, size: null }),
    'preprocessor_config.json: size is missing; add it, or set do_resize to false',
  ),
  hub(
    'no-crop-size',
    'tiny-vit',
    inPreprocessor({ do_center_crop: true, crop_size: null }),
    'preprocessor_config.json: crop_size is missing; add it, or set do_center_crop to false',
  ),
  hub(
    'half-size',
    'tiny-vit',
    inPreprocessor({ do_resize: true, size: { height: 4 } }),
    'preprocessor_config.json: size needs height and width, or shortest_edge',
  ),
  folder(
    'no-preprocessor',
    encodeModel(identity('x', 'FP32', ['N', 3, 4, 4])),
    IMAGES,
    /preprocessor_config\.json is missing: add it, or describe in model\.yaml how images were preprocessed in training: .*\. Keys that are left out have defaults: /,
  ),
];

const TENSOR_INSTEAD = 'export it so, or set task: tensor in model.yaml';

/** Scores of an image with as many values as the graph's input, from a graph whose input has this shape. */
function imageOf(shape: (number | string)[], type: TypeName = 'FP32'): Buffer {
  return encodeModel({
    inputs: [{ name: 'x', type, shape }],
    outputs: [{ name: 'y', type, shape: ['N', 2] }],
    nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
  });
}

const inImage = (name: string, image: string, reason: string | RegExp, shape = ['N', 3, 8, 8] as (number | string)[]) =>
  folder(name, imageOf(shape), `${IMAGES}image: ${image}\n`, reason);

export const IMAGE_SETTINGS: readonly RefusedFolder[] = [
  folder(
    'two-images',
    encodeModel({
      ...identity('x', 'FP32', ['N', 2]),
      inputs: ['x', 'z'].map((name) => ({ name, type: 'FP32', shape: ['N', 3, 8, 8] })),
    }),
    `${IMAGES}image: {}\n`,
    new RegExp(
      escaped(
        `the graph has 2 inputs, but IMAGE_CLASSIFICATION needs exactly one, besides pixel_mask: ${TENSOR_INSTEAD}`,
      ),
    ),
  ),
  folder(
    'string-image',
    imageOf(['N', 3, 8, 8], 'BYTES'),
    `${IMAGES}image: {}\n`,
    new RegExp(
      escaped(`input "x" is BYTES, but IMAGE_CLASSIFICATION needs numbers, such as FP32 or UINT8: ${TENSOR_INSTEAD}`),
    ),
  ),
  inImage(
    'deep-image',
    '{}',
    new RegExp(escaped(`input "x" has shape [any, 1, 3, 8, 8]; an image needs 2 to 4 dimensions: ${TENSOR_INSTEAD}`)),
    ['N', 1, 3, 8, 8],
  ),
  inImage(
    'grey-image',
    '{ color: grey }',
    'color is grey in model.yaml or preprocessor_config.json, but input "x" has shape [any, 3, 8, 8]',
  ),
  inImage(
    'five-channels',
    '{}',
    'input "x" has shape [any, 5, 8, 8], which is read as NCHW: 5 channels, but an image has 1 or 3; if the order is another, set image.layout in model.yaml',
    ['N', 5, 8, 8],
  ),
  inImage('wrong-layout', '{ layout: CHW }', 'model.yaml: image.layout is CHW, but input "x" has shape [any, 3, 8, 8]'),
  inImage(
    'size-and-none',
    '{ size: { width: 8, height: 8 }, fit: none }',
    'model.yaml: image.size and image.fit: none exclude each other; remove one',
  ),
  inImage(
    'letterbox-edge',
    '{ size: { shortest_edge: 8 }, fit: letterbox }',
    'model.yaml: image.fit: letterbox needs image.size with width and height: remove fit, or set both',
  ),
  inImage(
    'open-size',
    '{}',
    'model.yaml: image.size is missing, and the graph accepts any size: add size, for example { width: 224, height: 224 } or { shortest_edge: 800 }, or fit: none for the image as it is',
    ['N', 3, 'H', 'W'],
  ),
  inImage(
    'open-pad',
    '{ size: { shortest_edge: 8 }, pad: {} }',
    'model.yaml: image.pad.size is missing, and the graph accepts any size: add size, for example { width: 640, height: 640 }',
    ['N', 3, 'H', 'W'],
  ),
  inImage(
    'small-pad',
    '{ size: { shortest_edge: 8 }, pad: { size: { width: 16, height: 16 } } }',
    'model.yaml: images can be larger than image.pad.size, 16 x 16: use fit: letterbox, or set image.size.longest_edge to 16 or less',
    ['N', 3, 'H', 'W'],
  ),
  inImage(
    'centered-line',
    '{ size: { height: 8, min_width: 16 }, pad: { position: center } }',
    'model.yaml: an image with size.height and size.min_width is padded at the right to that width: remove size and position from image.pad',
    ['N', 3, 'H', 'W'],
  ),
  inImage(
    'line-of-open-width',
    '{ size: { height: 8, min_width: 8 } }',
    'images keep their aspect ratio, so that their sizes differ, but input "x" has shape [any, 3, 8, 8]: set image.size with width and height in model.yaml',
  ),
  inImage(
    'one-mean',
    '{ image_mean: [0.5] }',
    'image_mean and image_std in model.yaml or preprocessor_config.json need 3 values, one per channel; one of them has 1',
  ),
  inImage(
    'open-sides',
    '{ size: { shortest_edge: 8 } }',
    'images keep their aspect ratio, so that their sizes differ, but input "x" has shape [any, 3, 8, 8]: set image.size with width and height in model.yaml',
  ),
  inImage(
    'other-size',
    '{ size: { width: 4, height: 4 } }',
    'images are resized to 4 x 4 (3 channels), but input "x" has shape [any, 3, 8, 8]: correct image.size in model.yaml, or size in preprocessor_config.json',
  ),
  folder(
    'half-pad',
    imageOf(['N', 3, 8, 8], 'UINT8'),
    `${IMAGES}image: { fit: letterbox, pad: { value: 0.5 } }\n`,
    'model.yaml: image.pad.value must be an integer, because input "x" is UINT8',
  ),
];

/** A detector whose outputs have these shapes. */
function detecting(outputs: Readonly<Record<string, (number | string)[]>>): Buffer {
  return encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 3, 8, 8] }],
    outputs: Object.entries(outputs).map(([name, shape]) => ({ name, type: 'FP32', shape })),
    nodes: Object.keys(outputs).map((name) => ({ op: 'Reshape', inputs: ['x', `${name}_shape`], outputs: [name] })),
    ints: Object.entries(outputs).map(([name, [, ...sizes]]) => ({
      name: `${name}_shape`,
      shape: [1 + sizes.length],
      data: [-1, ...sizes.map(Number)],
    })),
  });
}

const DETECTION = 'task: object-detection\nimage: {}\n';

export const DETECTORS: readonly RefusedFolder[] = [
  folder(
    'unlabeled-tensorflow',
    detecting({ detection_boxes: ['N', 5, 4], detection_scores: ['N', 5], detection_classes: ['N', 5] }),
    DETECTION,
    'model.yaml: labels is missing: list the classes by their index, the background (0) included, or set output.firstClass to 1 and leave it out',
  ),
  folder(
    'flat-yolo',
    detecting({ y: ['N', 6] }),
    `${DETECTION}labels: [a, b]\noutput: { layout: yolov8 }\n`,
    'model.yaml: output.layout is yolov8, which needs a single output with three dimensions: name it as output.scores',
  ),
  folder(
    'yolo-of-two-kinds',
    detecting({ y: ['N', 6, 7] }),
    `${DETECTION}labels: [a, b]\n`,
    /^model\.yaml: output "y" has shape \[any, 6, 7\], which can be yolov\d or yolov\d with 2 labels: set output\.layout to one of them$/,
  ),
];

/** A recognizer of text whose scores have this shape. */
function reading(scores: (number | string)[]): Buffer {
  return encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 1, 8, 8] }],
    outputs: [{ name: 'y', type: 'FP32', shape: scores }],
    nodes: [{ op: 'Squeeze', inputs: ['x'], outputs: ['y'] }],
  });
}

const READING = 'task: image-to-text\nimage: {}\n';
const FILES = 'task: file-classification\nlabels: [a, b]\noutput: { scores: y }\n';

/** Scores of a file, from a graph whose input has this shape. */
function filed(shape: (number | string)[], type: TypeName): Buffer {
  return encodeModel({
    inputs: [{ name: 'x', type, shape }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['N', 2] }],
    nodes: [
      { op: 'Cast', inputs: ['x'], outputs: ['f'], attributes: [{ name: 'to', int: 1 }] },
      { op: 'Softmax', inputs: ['f'], outputs: ['y'] },
    ],
  });
}

export const READERS: readonly RefusedFolder[] = [
  folder(
    'no-characters',
    reading(['N', 'T', 3]),
    READING,
    'model.yaml: labels is missing: list the characters in the order of the scores, without the blank; PaddleOCR has them in the metadata "character" of the graph, and adds a space at the end',
  ),
  folder(
    'long-character',
    reading(['N', 'T', 3]),
    `${READING}labels: [a, characters]\n`,
    'model.yaml: label "characte…" is no character: it has 10 code units, and at most 8 are accepted',
  ),
  folder(
    'listed-blank',
    reading(['N', 'T', 3]),
    `${READING}labels: [blank, a, b]\n`,
    'model.yaml: the number of labels is 3, but output "y" has shape [any, any, 3]: list 2 characters, all but the blank',
  ),
  folder(
    'read-logits',
    reading(['N', 'T', 3]),
    `${READING}labels: [a, b]\n`,
    'model.yaml: output.activation is missing: the graph does not end in Softmax, so that output "y" may not hold probabilities; add activation: softmax if it holds logits or their logarithms, or none if it holds probabilities',
  ),
  folder(
    'read-sigmoid',
    reading(['N', 'T', 3]),
    `${READING}labels: [a, b]\noutput: { activation: sigmoid }\n`,
    'model.yaml: output.activation is sigmoid, but IMAGE_TO_TEXT needs probabilities that add up to 1: use softmax or none',
  ),
  hub(
    'read-softmax-twice',
    'tiny-reader',
    { 'model.yaml': `${HUB['tiny-reader']?.['model.yaml']}output: { activation: softmax }\n` },
    'model.yaml: output.activation is softmax, but the graph already ends in Softmax, so that output "probabilities" has probabilities: remove activation from output',
  ),
  folder(
    'file-of-two',
    encodeModel({
      ...identity('x', 'INT32', ['N', 2]),
      inputs: ['x', 'z'].map((name) => ({ name, type: 'INT32', shape: ['N', 2] })),
    }),
    FILES,
    /the graph has 2 inputs, but FILE_CLASSIFICATION needs exactly one: export it so, or set task: tensor in model\.yaml/,
  ),
  folder(
    'unread-file',
    filed(['N', 2], 'INT32'),
    FILES,
    'model.yaml: bytes is missing: say what the graph reads of a file in input "x", [any, 2], for example { begin: 1024, padding: 256 }',
  ),
  folder(
    'long-file',
    filed(['N', 2], 'INT32'),
    `${FILES}bytes: { begin: 4 }\n`,
    'input "x" is INT32 [any, 2], but bytes in model.yaml reads 4 numbers of a file, so that it needs the shape [N, 4]: correct begin and end',
  ),
  folder(
    'padded-file',
    filed(['N', 2], 'UINT8'),
    `${FILES}bytes: { begin: 2, padding: 256 }\n`,
    'input "x" is UINT8, which does not hold the bytes 0 to 255 and the padding 256 of bytes in model.yaml',
  ),
];

/** Datasets, and folders with a name that no model can have. Their reasons are in the log only. */
export const ONLY_LOGGED: readonly RefusedFolder[] = [
  {
    name: 'Bad Name',
    files: { '1/model.onnx': PAIR },
    reason: /^the folder name, in lower case with hyphens for dots and underscores, must match \S+$/,
  },
  { name: 'datasets/no-yaml', files: { README: '' }, reason: 'dataset.yaml is missing' },
  dataset('other-digest', 'sha256: "00"', /^data\.jsonl has SHA-256 [0-9a-f]{64}, but dataset\.yaml says 00$/),
  dataset('other-count', 'rowCount: 2', 'data.jsonl has 1 rows, but dataset.yaml says 2'),
  {
    name: 'datasets/other-format',
    files: { 'dataset.yaml': 'title: T\ntask: tensor\nfile: data.txt', 'data.txt': '1\n' },
    reason: 'data.txt: use a file such as data.jsonl, data.jsonl.gz, data.csv, data.csv.gz or data.parquet',
  },
  dataset('no-objects', '', /^data\.jsonl, row 1, line 1: the line is not a JSON object/, '1\n'),
];

function dataset(name: string, yaml: string, reason: string | RegExp, rows = '{ "a": 1 }\n'): RefusedFolder {
  const files = { 'dataset.yaml': `title: T\ntask: tensor\nfile: data.jsonl\n${yaml}`, 'data.jsonl': rows };
  return { name: `datasets/${name}`, files, reason };
}

export const ALL_REFUSED = [
  ...EXPORTED_WRONGLY,
  ...FROZEN_BATCH,
  ...EXAMPLES,
  ...MANIFESTS,
  ...REPOSITORIES,
  ...DATA_FILES,
  ...IMAGE_FOLDERS,
  ...IMAGE_SETTINGS,
  ...DETECTORS,
  ...READERS,
];
