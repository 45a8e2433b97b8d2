/** Selects every field of an answer of any type. The aliases avoid conflicts between fields of different types. */
export const OUTPUT = `output {
  __typename
  ... on Classification { label score classes(first: 100) { label score } }
  ... on Regression { value unit }
  ... on MultiClassification { targets { name label score classes(first: 100) { label score } } }
  ... on Values { values { name value unit } }
  ... on Embedding { dimensions vector vectorBase64 }
  ... on Similarities { scores }
  ... on Ranking { ranked: items { index text score } }
  ... on Detections { items { label score box { xmin ymin xmax ymax } } all: items(threshold: 0.05) { score } }
  ... on Masks { width height masks: items { label pixelCount runLengths } }
  ... on Tokens {
    none: items(aggregation: NONE) { ...Span }
    simple: items { ...Span }
    first: items(aggregation: FIRST) { ...Span }
    average: items(aggregation: AVERAGE) { ...Span }
    max: items(aggregation: MAX) { ...Span }
  }
  ... on Answer { text answerScore: score start end }
  ... on Fillings { fillings: items(first: 20) { token text score sequence } }
  ... on Text { text textScore: score }
  ... on Tensors { tensors { name datatype shape data base64 nonFinite { kind indices } } }
}`;

/** The fragment that `OUTPUT` uses; add it to the document. */
export const SPAN = 'fragment Span on LabelledSpan { label score word start end }';
