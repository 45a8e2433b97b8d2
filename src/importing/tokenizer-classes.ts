/**
 * The tokenizer that transformers, as in release 5.24, builds from tokenizer.json: many of its classes keep only the vocabulary,
 * the post-processor and the character map of SentencePiece.
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import {
  AS_FILE,
  CLASS_OF_MODEL,
  CLASSES,
  type Part,
  partSchema,
  type Settings,
  type Steps,
  settingsSchema,
  type TokenizerClass,
} from './tokenizer-class-list.js';

const fileSchema = z.looseObject({
  normalizer: partSchema.extend({ normalizers: z.array(partSchema).optional() }).nullish(),
  pre_tokenizer: partSchema.extend({ pretokenizers: z.array(partSchema).optional() }).nullish(),
  model: z.looseObject({}).nullish(),
});
const modelSchema = z.looseObject({
  model_type: z.string().nullish(),
  tokenizer_class: z.string().nullish().catch(null),
});

/**
 * What transformers answers with instead of tokenizer.json: another tokenizer, or, with `problem`, nobody can tell which.
 * `isCertain`: whatever its release, so that golden cases need not decide.
 */
export type ClassTokenizer =
  | { readonly tokenizer: unknown; readonly isCertain: boolean }
  | { readonly problem: string }
  | null;

/**
 * Null if transformers reads tokenizer.json as it is, or its class builds the same.
 *
 * `config`: tokenizer_config.json, whose settings `tokenizer` already has; `model`: config.json; `raw`: tokenizer.json.
 */
export function tokenizerOfClass(
  tokenizer: unknown,
  config: unknown,
  model: unknown,
  raw: unknown = tokenizer,
): ClassTokenizer {
  const [file, rawFile] = [fileSchema.safeParse(tokenizer).data, fileSchema.safeParse(raw).data];
  const settings = settingsSchema.safeParse(config ?? {}).data;
  const { model_type: type, tokenizer_class: modelClass } = modelSchema.safeParse(model ?? {}).data ?? {};
  if (!file || !rawFile || !settings) return null;
  const given = settings.tokenizer_class ?? modelClass ?? null;
  const name = (given ?? CLASS_OF_MODEL.get(type ?? '') ?? '').replace(/Fast$/, '');
  const known = Object.hasOwn(CLASSES, name) && !AS_FILE.has(type ?? '') ? CLASSES[name] : undefined;
  // Settings of the normalizer are for the classes that build it.
  if (!known)
    return isDeepStrictEqual(file.normalizer, rawFile.normalizer)
      ? null
      : { tokenizer: { ...Object(tokenizer), normalizer: Object(raw).normalizer }, isCertain: true };
  const steps = stepsOf(file);
  // Tokenizers of Llama 3 have this class too, and are read as they are.
  if (name === 'LlamaTokenizer' && steps.preTokenizers.some(({ type }) => type === 'ByteLevel')) return null;
  if (!isOfClass(steps, known)) return { problem: problemOf(name, steps) };
  const option = otherOption(file.model ?? {}, known, settings);
  if (option) return { problem: optionProblem(name, option) };
  const missing = given === null ? missingSetting(rawFile.normalizer, settings) : undefined;
  if (missing) return { problem: settingProblem(name, missing) };
  const built = known.build?.(settings, steps);
  if (!built || isSame(built, steps)) return null;
  return {
    tokenizer: {
      ...Object(tokenizer),
      normalizer: joined(built.normalizers, 'normalizers'),
      pre_tokenizer: joined(built.preTokenizers, 'pretokenizers'),
    },
    isCertain: isSame(built, stepsOf(rawFile)),
  };
}

/** Settings of WordPiece tokenizers, what they are called in the normalizer, and the defaults of transformers. */
const BERT_SETTINGS = [
  { key: 'do_lower_case', flag: 'lowercase', byDefault: true },
  { key: 'strip_accents', flag: 'strip_accents', byDefault: null },
  { key: 'tokenize_chinese_chars', flag: 'handle_chinese_chars', byDefault: true },
] as const;

/** A setting that nobody has written, and whose default is not what tokenizer.json says. */
function missingSetting(normalizer: Part | null | undefined, settings: Settings) {
  if (normalizer?.type !== 'BertNormalizer') return undefined;
  return BERT_SETTINGS.find(
    ({ key, flag, byDefault }) => settings[key] == null && (normalizer[flag] ?? null) !== byDefault,
  );
}

function settingProblem(name: string, { key, flag, byDefault }: (typeof BERT_SETTINGS)[number]): string {
  return `tokenizer_config.json: ${key} is missing, and the ${name} of transformers then takes ${byDefault}, which is not ${flag} of tokenizer.json: set ${key} to the value of the training, with tokenizer_class: ${name}. Or add golden.json with answers of the source framework`;
}

function stepsOf({ normalizer, pre_tokenizer }: z.infer<typeof fileSchema>): Steps {
  const parts = (one: Part | null | undefined, list: readonly Part[] | undefined) => list ?? (one ? [one] : []);
  return {
    normalizers: parts(normalizer, normalizer?.normalizers),
    preTokenizers: parts(pre_tokenizer, pre_tokenizer?.pretokenizers),
  };
}

function joined(parts: readonly Part[], key: string): object | null {
  return parts.length > 1 ? { type: 'Sequence', [key]: parts } : (parts[0] ?? null);
}

function isOfClass(steps: Steps, known: TokenizerClass): boolean {
  const isKnown = ({ type, ...rest }: Part) =>
    known.normalizers.includes(type) && (type !== 'Replace' || REPLACED.includes(patternOf(rest)));
  return (
    steps.normalizers.every(isKnown) &&
    steps.preTokenizers.every(({ type }) => known.preTokenizers.includes(type)) &&
    (known.build !== undefined || isComplete(steps, known))
  );
}

function isComplete({ normalizers, preTokenizers }: Steps, known: TokenizerClass): boolean {
  const types = (parts: readonly Part[]) => parts.map(({ type }) => type).join();
  return types(normalizers) === known.normalizers.join() && types(preTokenizers) === known.preTokenizers.join();
}

/** White space and the quotes of TeX: what SentencePiece models replace. */
const REPLACED = [' ', ' {2,}', '\\s{2,}|[\\n\\r\\t]', '\\n', '``', "''"];

function patternOf({ pattern }: Record<string, unknown>): string {
  return String(Object.values(Object(pattern))[0]);
}

function isSame(built: Steps, steps: Steps): boolean {
  const agree = (a: readonly Part[], b: readonly Part[]) =>
    a.length === b.length && a.every((one, i) => isSamePart(one, b[i] as Part));
  return agree(built.normalizers, steps.normalizers) && agree(built.preTokenizers, steps.preTokenizers);
}

/** Earlier releases left out some keys, and wrote `add_prefix_space` instead of `prepend_scheme`. */
function isSamePart(built: Part, part: Part): boolean {
  const prepend_scheme = part['add_prefix_space'] === false ? 'never' : 'always';
  const own: Record<string, unknown> = { trim_offsets: true, use_regex: true, split: true, prepend_scheme, ...part };
  return Object.entries(built).every(([key, value]) => JSON.stringify(own[key]) === JSON.stringify(value));
}

function problemOf(name: string, { normalizers, preTokenizers }: Steps): string {
  const list = (parts: readonly Part[]) =>
    parts
      .map(({ type }) => type)
      .slice(0, 8)
      .join(', ') || 'none';
  return `tokenizer_config.json: with the tokenizer_class ${name}, transformers builds a normalizer and a pre_tokenizer of its own and ignores those of tokenizer.json (${list(normalizers)}; ${list(preTokenizers)}), ${EITHER}`;
}

const EITHER =
  'so that the model may have been trained with either: if it was trained with those of tokenizer.json, set tokenizer_class to PreTrainedTokenizerFast, with which transformers reads the file as it is; otherwise save the tokenizer again with AutoTokenizer.from_pretrained(folder).save_pretrained(folder). Or add golden.json with answers of the source framework';

interface Option {
  readonly key: string;
  readonly given: unknown;
  readonly built: unknown;
}

/** An option of the model that the class has another value for; undefined if there is none. */
function otherOption(model: Readonly<Record<string, unknown>>, known: TokenizerClass, settings: Settings) {
  const options: Option[] = Object.entries(known.model?.(settings) ?? {}).map(([key, built]) => ({
    key,
    given: model[key],
    built,
  }));
  return options.find(({ given, built }) => given !== undefined && built !== undefined && given !== built);
}

function optionProblem(name: string, { key, given, built }: Option): string {
  const shown = JSON.stringify(given).slice(0, MAX_SHOWN_CHARACTERS);
  return `tokenizer_config.json: with the tokenizer_class ${name}, transformers sets ${key} of the model to ${JSON.stringify(built)} and ignores that of tokenizer.json (${shown}), ${EITHER}`;
}

const MAX_SHOWN_CHARACTERS = 80;
