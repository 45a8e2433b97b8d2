/** What transformers 5.24 does with tokenizer.json and tokenizer_config.json, measured with `AutoTokenizer`. */
import { withSettings } from '../../src/importing/tokenizer-settings.js';

const TOKENIZER = {
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
  post_processor: { type: 'TemplateProcessing', single: [{ SpecialToken: { id: '<s>', type_id: 0 } }] },
};

test.each(['LlamaTokenizer', 'GemmaTokenizer', 'Qwen2Tokenizer', 'GPT2Tokenizer', 'CohereTokenizer', null])(
  'the special tokens of %s are those of tokenizer.json, whatever add_bos_token says',
  (tokenizer_class) => {
    for (const add of [true, false])
      expect(withSettings(TOKENIZER, { tokenizer_class, add_bos_token: add, add_eos_token: add })).toBe(TOKENIZER);
  },
);

test.each(['GPTNeoXTokenizer', 'GPTNeoXTokenizerFast'])('%s adds no special tokens', (tokenizer_class) => {
  const expected = { ...TOKENIZER, post_processor: null };

  expect(withSettings(TOKENIZER, { tokenizer_class, add_bos_token: true })).toEqual(expected);
});
