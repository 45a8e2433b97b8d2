/** Tiny models that read text. `σ(x)` is 1 / (1 + e^−x). */
import { TYPE } from '../onnx.ts';
import { type Folder, floats, json, keepDimensions, labels, node } from './folder.ts';
import { bothTexts, maskedEmbedding, table, textFolder, textGraph, VOCABULARY } from './text-folder.ts';

export function textModels(): Record<string, Folder> {
  return {
    'tiny-sst': sst(),
    'tiny-topics': topics(),
    'tiny-ner': ner(),
    'tiny-embed': embed(),
    'tiny-sentences': sentences(),
    'tiny-mlm': mlm(),
    'tiny-qa': qa(),
    'tiny-nli': nli(),
    'tiny-ranker': ranker(),
  };
}

/**
 * Sentiment. m is the mean over all tokens, special ones included, of: good 6, great 9, bad −6, awful −9, others 0. The
 * logits are m for POSITIVE and −m for NEGATIVE, so P(POSITIVE) = σ(2m). "great" is three tokens: m = 9 / 3,
 * σ(6) = 0.99753.
 */
function sst(): Folder {
  const graph = textGraph({
    inputs: ['input_ids', 'attention_mask'],
    outputs: [floats('logits', ['batch', 2])],
    nodes: [
      ...maskedEmbedding('words'),
      node('ReduceSum', ['hidden', 'axis_1'], 'sum', keepDimensions(false)),
      node('ReduceSum', ['mask', 'axis_1'], 'count', keepDimensions(false)),
      node('Div', ['sum', 'count'], 'mean'),
      node('MatMul', ['mean', 'direction'], 'logits'),
    ],
    floats: [
      table('words', 1, { good: [6], great: [9], bad: [-6], awful: [-9] }),
      { name: 'direction', shape: [1, 2], data: [-1, 1] },
    ],
  });
  return textFolder('BertForSequenceClassification', graph, { id2label: labels('NEGATIVE', 'POSITIVE') });
}

/**
 * Multi-label topics. The logits start at −3, and each of these words adds 6: good, great to praise; bad, awful to blame;
 * paris, berlin to place. A label that is named once scores σ(3) = 0.95257, one that is not named σ(−3) = 0.04743.
 */
function topics(): Folder {
  const graph = textGraph({
    inputs: ['input_ids', 'attention_mask', 'token_type_ids'],
    outputs: [floats('logits', ['batch', 3])],
    nodes: [
      ...maskedEmbedding('words'),
      node('ReduceSum', ['hidden', 'axis_1'], 'sum', keepDimensions(false)),
      // ONNX Runtime drops an input that no node uses, and real exports have this one.
      node('Cast', ['token_type_ids'], 'types', [{ name: 'to', int: TYPE.FP32 }]),
      node('ReduceSum', ['types', 'axis_1'], 'second', keepDimensions(true)),
      node('Mul', ['second', 'zero'], 'nothing'),
      node('Add', ['sum', 'nothing'], 'found'),
      node('Sub', ['found', 'three'], 'logits'),
    ],
    floats: [
      table('words', 3, {
        good: [6, 0, 0],
        great: [6, 0, 0],
        bad: [0, 6, 0],
        awful: [0, 6, 0],
        paris: [0, 0, 6],
        berlin: [0, 0, 6],
      }),
      { name: 'zero', shape: [1], data: [0] },
      { name: 'three', shape: [1], data: [3] },
    ],
  });
  const config = { id2label: labels('praise', 'blame', 'place'), problem_type: 'multi_label_classification' };
  return textFolder('BertForSequenceClassification', graph, config);
}

/**
 * Entities, each token by itself: paris, berlin, new → B-LOC 5; york → I-LOC 5; "##able" → O 6; others → O 5. A logit of
 * 5 gives e^5 / (e^5 + 2) = 0.98670, also for the entity "new york". "parisable" is one word of two tokens: a place by
 * its first token, but not by the mean of both, since "##able" scores e^6 / (e^6 + 2) = 0.99507.
 */
function ner(): Folder {
  const [begins, continues] = [
    [0, 5, 0],
    [0, 0, 5],
  ];
  const graph = textGraph({
    inputs: ['input_ids', 'attention_mask'],
    outputs: [floats('logits', ['batch', 'sequence', 3])],
    nodes: [...maskedEmbedding('words'), node('Identity', ['hidden'], 'logits')],
    floats: [
      table(
        'words',
        3,
        { paris: begins, berlin: begins, new: begins, york: continues, '##able': [6, 0, 0] },
        [5, 0, 0],
      ),
    ],
  });
  return textFolder('BertForTokenClassification', graph, { id2label: labels('O', 'B-LOC', 'I-LOC') });
}

const VECTORS = { great: [3, 4, 0], good: [4, 3, 0], paris: [0, 0, 5] };

/** One vector for each token: great (3, 4, 0), good (4, 3, 0), paris (0, 0, 5), others zeros. */
function vectorsGraph(): Buffer {
  return textGraph({
    inputs: ['input_ids', 'attention_mask'],
    outputs: [floats('last_hidden_state', ['batch', 'sequence', 3])],
    nodes: [...maskedEmbedding('words'), node('Identity', ['hidden'], 'last_hidden_state')],
    floats: [table('words', 3, VECTORS)],
  });
}

/** Embeddings: the mean over all tokens. "great" gives (3, 4, 0) / 3, "great paris" (3, 4, 5) / 4. */
function embed(): Folder {
  return textFolder('BertModel', vectorsGraph(), {});
}

/**
 * Sentence embeddings: the mean, scaled to length one. "great" gives (0.6, 0.8, 0), "good" (0.8, 0.6, 0), "paris"
 * (0, 0, 1), so great and good have the cosine 0.96, great and paris 0. A text without these words gives zeros. Texts
 * are truncated to 32 tokens.
 */
function sentences(): Folder {
  const parts = ['', '1_Pooling', '2_Normalize'];
  const types = ['Transformer', 'Pooling', 'Normalize'];
  return {
    ...textFolder('BertModel', vectorsGraph(), {}),
    'modules.json': json(
      parts.map((path, idx) => ({ idx, name: String(idx), path, type: `sentence_transformers.models.${types[idx]}` })),
    ),
    'sentence_bert_config.json': json({ max_seq_length: 32, do_lower_case: false }),
    '1_Pooling/config.json': json({
      word_embedding_dimension: 3,
      pooling_mode_cls_token: false,
      pooling_mode_mean_tokens: true,
      pooling_mode_max_tokens: false,
      pooling_mode_mean_sqrt_len_tokens: false,
    }),
  };
}

/**
 * Masked words. Every position gets the same logits, by the words of the text: france → paris 8, germany → berlin 8,
 * others 0. In "[MASK] is the capital of france" paris scores e^8 / (e^8 + 110) = 0.96441, since there are 111 words.
 */
function mlm(): Folder {
  const answers = VOCABULARY.map((word) => [word === 'paris' ? 8 : 0, word === 'berlin' ? 8 : 0]);
  const graph = textGraph({
    inputs: ['input_ids', 'attention_mask'],
    outputs: [floats('logits', ['batch', 'sequence', VOCABULARY.length])],
    nodes: [
      ...maskedEmbedding('words'),
      node('ReduceSum', ['hidden', 'axis_1'], 'all', keepDimensions(true)),
      node('Mul', ['hidden', 'zero'], 'nothing'),
      node('Add', ['nothing', 'all'], 'everywhere'),
      node('MatMul', ['everywhere', 'answers'], 'logits'),
    ],
    floats: [
      table('words', 2, { france: [1, 0], germany: [0, 1] }),
      {
        name: 'answers',
        shape: [2, VOCABULARY.length],
        data: [0, 1].flatMap((i) => answers.map((row) => row[i] ?? 0)),
      },
      { name: 'zero', shape: [1], data: [0] },
    ],
  });
  return textFolder('BertForMaskedLM', graph, {});
}

/**
 * Question answering. A word of the question sets the logits of the start and the end of the answer: france → paris 8;
 * germany → berlin 8; film → new 8 (start) and york 8 (end). The first token, which means "no answer", has 4, others 0.
 * For the question "capital of france?":
 *   "paris is the capital" (four tokens): paris, (e^8 / (e^8 + e^4 + 3))²
 *   "the movie was great" (four tokens):  none, (e^4 / (e^4 + 4))²
 */
function qa(): Folder {
  const asked = { france: [1, 0, 0], germany: [0, 1, 0], film: [0, 0, 1] };
  const none = { '[CLS]': [4] };
  const graph = textGraph({
    inputs: ['input_ids', 'attention_mask', 'token_type_ids'],
    outputs: [floats('start_logits', ['batch', 'sequence']), floats('end_logits', ['batch', 'sequence'])],
    nodes: [
      ...bothTexts('asked'),
      node('Gather', ['none', 'input_ids'], 'none_of_each'),
      node('Squeeze', ['none_of_each', 'axis_2'], 'bias'),
      ...['start', 'end'].flatMap((edge) => [
        node('Gather', [edge, 'input_ids'], `${edge}_of_each`),
        node('Mul', [`${edge}_of_each`, 'sum_of_a'], `${edge}_asked`),
        node('ReduceSum', [`${edge}_asked`, 'axis_2'], `${edge}_found`, keepDimensions(false)),
        node('Add', [`${edge}_found`, 'bias'], `${edge}_logits`),
      ]),
    ],
    floats: [
      table('asked', 3, asked),
      table('none', 1, none),
      table('start', 3, { paris: [8, 0, 0], berlin: [0, 8, 0], new: [0, 0, 8] }),
      table('end', 3, { paris: [8, 0, 0], berlin: [0, 8, 0], york: [0, 0, 8] }),
    ],
  });
  return textFolder('BertForQuestionAnswering', graph, {});
}

/**
 * Zero-shot classification: whether the text entails "This example is <label>.". Both texts sum up these words: movie,
 * film → film 2; paris, travel → travel 2. x is the dot product of the two sums; the logits are −x for contradiction, 0
 * for neutral, x for entailment. For "the movie", x is 4 with the label "film", and 0 with "travel" or "food".
 */
function nli(): Folder {
  const graph = textGraph({
    inputs: ['input_ids', 'attention_mask', 'token_type_ids'],
    outputs: [floats('logits', ['batch', 3])],
    nodes: [
      ...bothTexts('words'),
      node('Mul', ['sum_of_a', 'sum_of_b'], 'shared'),
      node('ReduceSum', ['shared', 'axis_2'], 'x', keepDimensions(false)),
      node('MatMul', ['x', 'direction'], 'logits'),
    ],
    floats: [
      table('words', 2, { movie: [2, 0], film: [2, 0], paris: [0, 2], travel: [0, 2] }),
      { name: 'direction', shape: [1, 3], data: [-1, 0, 1] },
    ],
  });
  return textFolder('BertForSequenceClassification', graph, {
    id2label: labels('contradiction', 'neutral', 'entailment'),
    pipeline_tag: 'zero-shot-classification',
  });
}

/**
 * Ranking: how relevant a document is to a query. Both sum up these words: movie, film → film 2; paris, travel → travel 2.
 * The logit is the dot product of the two sums minus 2, the score σ(logit). For "the movie", "film" scores σ(2) = 0.88080,
 * "film film" σ(6) = 0.99753 and "paris" σ(−2) = 0.11920.
 */
function ranker(): Folder {
  const graph = textGraph({
    inputs: ['input_ids', 'attention_mask', 'token_type_ids'],
    outputs: [floats('logits', ['batch', 1])],
    nodes: [
      ...bothTexts('words'),
      node('Mul', ['sum_of_a', 'sum_of_b'], 'shared'),
      node('ReduceSum', ['shared', 'axis_2'], 'x', keepDimensions(false)),
      node('Sub', ['x', 'two'], 'logits'),
    ],
    floats: [
      table('words', 2, { movie: [2, 0], film: [2, 0], paris: [0, 2], travel: [0, 2] }),
      { name: 'two', shape: [1], data: [2] },
    ],
  });
  return textFolder('BertForSequenceClassification', graph, {
    id2label: labels('LABEL_0'),
    pipeline_tag: 'text-ranking',
  });
}
