/**
 * Why ONNX Runtime cannot load or run a graph, in words that say what to change in the export. What ONNX Runtime said comes
 * after them.
 */

import { isOutOfMemory } from './failures.js';

/** What the file says about itself: the tool that wrote it, and its opset of ai.onnx. */
interface Origin {
  readonly producer: string | null;
  readonly opset: number | null;
}

/** What a message of ONNX Runtime means; null if the message is another one. */
type Explanation = (message: string, origin: Origin) => string | null;

/** For a message about a graph that cannot be loaded. */
export function explainLoadFailure(message: string, origin: Origin): string {
  if (isOutOfMemory(message) || OURS.test(message)) return message;
  const words = explanationOf(LOAD_FAILURES, message, origin);
  return inFull(words ?? ADVICE_FOR_INVALID, message);
}

/** For a message about a run of the example. */
export function explainRunFailure(message: string): string {
  const words = frozenReshape(message) ?? missingNeighbors(message);
  return words === null ? `ONNX Runtime: ${withoutPlace(message)}` : inFull(words, message);
}

function inFull(words: string, message: string): string {
  return `${words}. ONNX Runtime: ${withoutPlace(message)}`;
}

/** Without the place in the source of ONNX Runtime. */
function withoutPlace(message: string): string {
  return message.replace(/\S+\.(?:cc|h):\d+ .*?\) (?=[A-Zi])/s, '').trim();
}

/** Messages of the service itself. */
const OURS = /^the artifact is damaged|^an input of the graph/;

const ADVICE_FOR_INVALID =
  'the ONNX file cannot be loaded: export it again, and find the fault with onnx.checker.check_model(model, full_check=True)';

function explanationOf(explanations: readonly Explanation[], message: string, origin: Origin): string | null {
  for (const explain of explanations) {
    const words = explain(message, origin);
    if (words !== null) return words;
  }
  return null;
}

/** ONNX Runtime states it only in the message about the opset, which comes after the one about the IR version. */
const HIGHEST_OPSET = 26;

const tooNewIr: Explanation = (message, { opset }) => {
  const [, given, highest] = /IR version: (\d+), max supported IR version: (\d+)/.exec(message) ?? [];
  if (!given) return null;
  const lowered = `lower it with m = onnx.load("model.onnx"); m.ir_version = ${highest}; onnx.save(m, "model.onnx"), or export with an older onnx package`;
  if (opset === null || opset <= HIGHEST_OPSET)
    return `the ONNX file has IR version ${given}, and the highest supported is ${highest}: ${lowered}`;
  return `the ONNX file has IR version ${given} and opset ${opset} of ai.onnx, and the highest supported are ${highest} and ${HIGHEST_OPSET}: export with a lower opset (${lowerOpset(HIGHEST_OPSET)}), and if the IR version is still too high, ${lowered}`;
};

const tooNewOpset: Explanation = (message) => {
  const [, given] = /Opset (\d+) is under development/.exec(message) ?? [];
  const [, domain, highest] = /official support for domain (\S+) is till opset (\d+)/.exec(message) ?? [];
  if (!given || !domain) return null;
  const how =
    domain === 'ai.onnx'
      ? lowerOpset(Number(highest))
      : `skl2onnx and onnxmltools: target_opset={'': 21, '${domain}': ${highest}}`;
  return `the ONNX file has opset ${given} of ${domain}, and the highest supported is ${highest}: export with a lower opset (${how})`;
};

function lowerOpset(highest: number): string {
  return `PyTorch: opset_version=${highest}; tf2onnx: --opset ${highest}; skl2onnx: target_opset=${highest}; any file: onnx.version_converter.convert_version(model, ${highest})`;
}

/** Names of TensorFlow operators that no operator of ONNX has. */
const TENSORFLOW =
  /^(?:Tensor|Lookup|HashTable|Regex|String|Strided|Stateful|Resource|Parse|Decode|Var|Read|Assign)|V\d$/;

const unknownOperator: Explanation = (message, { producer }) => {
  const [, ofNode = ''] = /In Node, \(".*?", \S+, "(.*?)", -1\)/.exec(message) ?? [];
  const found =
    /Error No Op registered for (?<op>\S+) with domain_version of (?<opset>\d+)/.exec(message) ??
    /Fatal error: (?:(?<domain>[\w.]+):)?(?<op>[\w.]+)\(-?\d+\) is not a registered function\/op/.exec(message);
  const { op = '', opset, domain = '' } = found?.groups ?? {};
  if (op === '') return null;
  const isOfTensorFlow = /tf2onnx|tensorflow|keras/i.test(producer ?? '') || (domain === '' && TENSORFLOW.test(op));
  if (isOfTensorFlow) return leftInByTensorFlow(op);
  if (domain !== '')
    return `the graph uses ${domain}.${op}, which this ONNX Runtime does not have: export without this operator, for example without the optimization that made it`;
  return `the graph uses the operator ${op}, which ${ofNode || 'ONNX'} does not have in opset ${opset}: export with a higher opset (opset_version, target_opset, --opset) if it is a newer operator, or without this custom operator`;
};

function leftInByTensorFlow(op: string): string {
  const instead = /Lookup|HashTable|String|Regex/.test(op)
    ? 'do the string lookup outside the graph: export the layers after StringLookup, CategoryEncoding or TextVectorization, and let its input be the index of the category or token, which clients send encoded'
    : 'export the model without the layer that uses it, or with a higher --opset';
  return `the TensorFlow operator ${op} was left in the graph, because tf2onnx cannot convert it: ${instead}`;
}

const noImplementation: Explanation = (message) => {
  const [, op] = /Could not find an implementation for (\w+)\(/.exec(message) ?? [];
  if (!op) return null;
  return `ONNX Runtime has no implementation of ${op} for these datatypes: export the model in float32 (PyTorch: model.float(); skl2onnx: FloatTensorType), or cast to float32 inside the graph`;
};

const mixedTypes: Explanation = (message) => {
  if (!/^Type Error:|Type Error: Type/.test(message)) return null;
  if (/tensor\(string\).*tensor\(int64\)/.test(message))
    return 'the graph declares texts where it computes integers, as skl2onnx exports OneVsOneClassifier with texts as classes: train with the classes 0, 1, … in place of the texts, and list the texts in labels of model.yaml in this order';
  return 'the graph mixes datatypes that do not fit together: export it again with one float type (skl2onnx and onnxmltools: FloatTensorType in initial_types and float32 data in fit; PyTorch: model.float())';
};

const locale: Explanation = (message) => {
  const [, name] = /Failed to construct locale with name:(.+?):/.exec(message) ?? [];
  if (!name) return null;
  return `the graph needs the locale ${name}, which is not installed on the server: export the graph with the locale "C.UTF-8" (skl2onnx: options={TfidfVectorizer: {'locale': 'C.UTF-8'}}), or install ${name}`;
};

/** The tokenizer of ONNX Runtime reads expressions as RE2 does, which lacks a part of Python's. */
const tokenPattern: Explanation = (message) => {
  const [, fault] = /Can not digest tokenexp: (.+)/.exec(message) ?? [];
  if (!fault) return null;
  return `the graph splits texts by a regular expression of Python that ONNX Runtime cannot read (${fault.trim()}), such as token_pattern with (?u): export with the same words in its own syntax, such as skl2onnx: options={TfidfVectorizer: {'tokenexp': r'[\\pL\\pN_]+'}} for r'(?u)\\b\\w+\\b'`;
};

const externalShape: Explanation = (message) => {
  const [, tensor] = /Cannot parse data from external tensors.* for tensor: (.+)/.exec(message) ?? [];
  if (!tensor) return null;
  return `the tensor ${tensor} is a shape, and must be in the graph itself: save the graph again so that small tensors stay in it, with onnx.save_model(model, path, save_as_external_data=True, size_threshold=1024)`;
};

const severalBaseValues: Explanation = (message) =>
  /base_values should have 0, 1, or 2 values/.test(message)
    ? 'the graph holds trees of several labels or targets in one operator, as onnxmltools exports an XGBClassifier of several labels or with num_parallel_tree, and loses them: train with n_estimators in place of num_parallel_tree; of several labels, train and export one model for each, and join the graphs, for example with onnx.compose.merge_models'
    : null;

const missingBaseValues: Explanation = (message) =>
  /base_values should have 0 or \d+ values/.test(message)
    ? 'the trees of the graph have one start value for several classes, as skl2onnx exports GradientBoostingClassifier with init="zero": train and export it without init, or, if base_values of the TreeEnsembleClassifier is 0, remove this attribute with onnx'
    : null;

const wronglyDeclared: Explanation = (message) => {
  const [, node] = /Node \((.*?)\) .*Can't merge shape info/.exec(message) ?? [];
  if (node === undefined) return null;
  return `the graph declares a size that its node ${node} does not compute, as skl2onnx exports KNeighborsClassifier of several targets with different numbers of classes: train and export MultiOutputClassifier(KNeighborsClassifier()); for another model, remove the declared sizes with onnx: del model.graph.value_info[:]`;
};

const LOAD_FAILURES = [
  tooNewIr,
  tooNewOpset,
  unknownOperator,
  noImplementation,
  mixedTypes,
  locale,
  tokenPattern,
  externalShape,
  severalBaseValues,
  missingBaseValues,
  wronglyDeclared,
];

/** How exporters are told that the batch size is open. */
export const OPEN_BATCH =
  'PyTorch: dynamic_shapes, or dynamic_axes={"<input>": {0: "batch"}}; tf2onnx: input_signature with TensorSpec([None, …]); skl2onnx: FloatTensorType([None, …])';

function frozenReshape(message: string): string | null {
  const [, input, wanted] =
    /cannot be reshaped to the requested shape\. Input shape:\{([\d,]*)\}, requested shape:\{([-\d,]*)\}/.exec(
      message,
    ) ?? [];
  if (!input || !wanted) return null;
  return `the graph reshapes [${input}] to the fixed shape [${wanted}]: if its first size is the batch, it was frozen by the export; export with an open batch size (${OPEN_BATCH})`;
}

function missingNeighbors(message: string): string | null {
  if (!/index is out of range: Y\[\d+\] \(-1\)/.test(message)) return null;
  return 'the graph looks up a place that it has not found (-1), as skl2onnx exports RadiusNeighborsClassifier and RadiusNeighborsRegressor, whose graphs fail for rows that are not near to all rows of the training: train and export KNeighborsClassifier or KNeighborsRegressor';
}
