/** How the values of facets are written for readers. */
import type { FacetField } from './model.type.js';
import { readable } from './readable.js';

/** Names that their own words do not spell, by the value. */
const NAMES: Partial<Record<keyof typeof FacetField, Readonly<Record<string, string>>>> = {
  LICENSE: {
    'afl-3.0': 'AFL 3.0',
    'agpl-3.0': 'AGPL 3.0',
    'apache-2.0': 'Apache 2.0',
    'artistic-2.0': 'Artistic 2.0',
    'bigscience-openrail-m': 'BigScience OpenRAIL-M',
    bsd: 'BSD',
    'bsd-2-clause': 'BSD 2-Clause',
    'bsd-3-clause': 'BSD 3-Clause',
    'bsl-1.0': 'BSL 1.0',
    cc: 'CC',
    'cc-by-4.0': 'CC BY 4.0',
    'cc-by-sa-3.0': 'CC BY-SA 3.0',
    'cc-by-sa-4.0': 'CC BY-SA 4.0',
    'cc-by-nc-4.0': 'CC BY-NC 4.0',
    'cc-by-nc-nd-4.0': 'CC BY-NC-ND 4.0',
    'cc-by-nc-sa-4.0': 'CC BY-NC-SA 4.0',
    'cc-by-nd-4.0': 'CC BY-ND 4.0',
    'cc0-1.0': 'CC0 1.0',
    'creativeml-openrail-m': 'CreativeML OpenRAIL-M',
    'epl-2.0': 'EPL 2.0',
    'eupl-1.2': 'EUPL 1.2',
    gemma: 'Gemma',
    gpl: 'GPL',
    'gpl-2.0': 'GPL 2.0',
    'gpl-3.0': 'GPL 3.0',
    isc: 'ISC',
    lgpl: 'LGPL',
    'lgpl-2.1': 'LGPL 2.1',
    'lgpl-3.0': 'LGPL 3.0',
    mit: 'MIT',
    'mpl-2.0': 'MPL 2.0',
    'odc-by': 'ODC-BY',
    openrail: 'OpenRAIL',
    other: 'Other',
    unlicense: 'Unlicense',
    wtfpl: 'WTFPL',
    zlib: 'zlib',
  },
  FRAMEWORK: {
    catboost: 'CatBoost',
    jax: 'JAX',
    keras: 'Keras',
    lightgbm: 'LightGBM',
    onnx: 'ONNX',
    opencv: 'OpenCV',
    paddle: 'PaddlePaddle',
    paddlepaddle: 'PaddlePaddle',
    pytorch: 'PyTorch',
    sentence_transformers: 'Sentence Transformers',
    'sentence-transformers': 'Sentence Transformers',
    tensorflow: 'TensorFlow',
    timm: 'timm',
    torch: 'PyTorch',
    transformers: 'Transformers',
    ultralytics: 'Ultralytics',
    xgboost: 'XGBoost',
  },
};

/** Owners, tags, and values without a name are written as they are. */
export function facetLabel(field: keyof typeof FacetField, value: string): string {
  if (field === 'TASK') return readable(value.toLowerCase());
  const names = NAMES[field] ?? {};
  const known = value.toLowerCase();
  return Object.hasOwn(names, known) ? (names[known] as string) : value;
}
