/**
 * Settings of tokenizer_config.json that take precedence over tokenizer.json. transformers makes the tokenizers of its own
 * classes, such as BertTokenizer, from the vocabulary and these settings.
 */
import { z } from 'zod';

const partSchema = z.looseObject({ type: z.string() }).nullish();
const fileSchema = z.looseObject({ normalizer: partSchema, pre_tokenizer: partSchema, post_processor: partSchema });
const settingsSchema = z.looseObject({
  tokenizer_class: z.string().nullish().catch(null),
  do_lower_case: z.boolean().nullish().catch(null),
  strip_accents: z.boolean().nullish().catch(null),
  tokenize_chinese_chars: z.boolean().nullish().catch(null),
  add_prefix_space: z.boolean().nullish().catch(null),
});

/** Classes that read tokenizer.json as it is. */
const GENERIC_CLASSES = ['PreTrainedTokenizerFast', 'TokenizersBackend', 'PreTrainedTokenizer'];

/** Returns the parsed tokenizer.json with the settings; the same object if it agrees with them. */
export function withSettings(tokenizer: unknown, config: unknown): unknown {
  const file = fileSchema.safeParse(tokenizer).data;
  const settings = settingsSchema.safeParse(config).data;
  if (!file || !settings || GENERIC_CLASSES.includes(settings.tokenizer_class ?? '')) return tokenizer;
  const changes = {
    ...normalizerOf(file, settings),
    ...preTokenizerOf(file, settings),
    ...postProcessorOf(file, settings),
  };
  return Object.keys(changes).length === 0 ? tokenizer : { ...Object(tokenizer), ...changes };
}

type File = z.infer<typeof fileSchema>;
type Settings = z.infer<typeof settingsSchema>;

/** Without a class, which transformers then takes from config.json, only what is set counts; a class has defaults. */
function normalizerOf({ normalizer }: File, settings: Settings): { normalizer: object } | null {
  if (normalizer?.type !== 'BertNormalizer') return null;
  const hasDefaults = settings.tokenizer_class != null;
  const wanted = {
    lowercase: settings.do_lower_case ?? (hasDefaults ? true : normalizer['lowercase']),
    strip_accents: settings.strip_accents ?? (hasDefaults ? null : normalizer['strip_accents']),
    handle_chinese_chars: settings.tokenize_chinese_chars ?? (hasDefaults ? true : normalizer['handle_chinese_chars']),
  };
  const isSame = Object.entries(wanted).every(([key, value]) => (normalizer[key] ?? null) === (value ?? null));
  return isSame ? null : { normalizer: { ...normalizer, ...wanted } };
}

function preTokenizerOf({ pre_tokenizer: part }: File, settings: Settings): { pre_tokenizer: object } | null {
  const wanted = settings.add_prefix_space;
  if (part?.type !== 'ByteLevel' || wanted == null || part['add_prefix_space'] === wanted) return null;
  return { pre_tokenizer: { ...part, add_prefix_space: wanted } };
}

/** transformers adds no special tokens for this class, and follows the file for all others: add_bos_token has no effect. */
function postProcessorOf({ post_processor }: File, { tokenizer_class }: Settings): { post_processor: null } | null {
  return post_processor && /^GPTNeoXTokenizer(?:Fast)?$/.test(tokenizer_class ?? '') ? { post_processor: null } : null;
}
