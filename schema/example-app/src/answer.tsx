/** Shows any answer: a title and what goes with it, by the type of the answer. */
import { useState } from 'react';
import { quantity, urlOfBase64 } from './format';
import type { AnyOutputFragment, ModelInput, PredictMutation } from './gql/graphql';

type Prediction = NonNullable<NonNullable<PredictMutation['predict']>['prediction']>;
type Found = Extract<AnyOutputFragment, { __typename: 'Detections' }>['items'];
/** In UTF-16 code units, as JavaScript counts them. */
type Span = { readonly label: string; readonly start: number; readonly end: number };

interface View {
  readonly title: string;
  readonly scores?: readonly { readonly label: string; readonly score: number }[];
  readonly boxes?: Found;
  readonly spans?: readonly Span[];
  readonly text?: string | undefined;
}

/** `input`: what was sent, where the answer refers to it. */
export function viewOf(output: AnyOutputFragment, input?: ModelInput): View {
  switch (output.__typename) {
    case 'Classification':
      return { title: output.label, scores: output.classes };
    case 'MultiClassification':
      return { title: output.targets.map(({ name, label }) => `${name}: ${label}`).join(', ') };
    case 'Regression':
      return { title: quantity(output.value, output.unit) };
    case 'Values':
      return { title: output.values.map(({ name, value, unit }) => `${name}: ${quantity(value, unit)}`).join(', ') };
    case 'Similarities': {
      const { sentences = [] } = input?.similarity ?? {};
      return { title: 'Similarity', scores: output.scores.map((score, i) => ({ label: sentences[i] ?? '', score })) };
    }
    case 'Ranking':
      return { title: 'Best first', scores: output.items.map(({ text, score }) => ({ label: text, score })) };
    case 'Fillings':
      return { title: 'Best first', scores: output.items.map(({ sequence, score }) => ({ label: sequence, score })) };
    case 'Masks': {
      const pixels = output.width * output.height;
      return { title: 'Areas', scores: output.items.map((one) => ({ ...one, score: one.pixelCount / pixels })) };
    }
    case 'Detections':
      return { title: `${output.items.length || 'Nothing'} found`, scores: output.items, boxes: output.items };
    case 'Tokens':
      return { title: `${output.items.length || 'Nothing'} found`, spans: output.items, text: input?.text };
    case 'Answer': {
      const { text, start, end } = output;
      const spans = start === null || end === null ? [] : [{ label: 'answer', start, end }];
      return { title: text ?? 'No answer', spans, text: input?.question?.context };
    }
    case 'Text':
      return { title: output.text || 'No text found' };
    case 'Embedding':
    case 'Tensors':
      return { title: output.__typename, text: JSON.stringify(output) };
  }
}

export function Answer({ prediction, input }: { prediction: Prediction; input: ModelInput }) {
  const { output, truncated, timing } = prediction;
  if (!output) return null;
  const { title, scores = [], boxes, spans = [], text = '' } = viewOf(output, input);
  return (
    <section aria-label="Answer">
      <h2>{title}</h2>
      {boxes && <Boxes boxes={boxes} src={urlOfBase64(input.image?.base64 ?? '')} />}
      <Highlighted text={text} spans={spans} />
      {scores.map(({ label, score }, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a text can be there twice
        <label key={i}>
          {label} {score.toFixed(3)} <progress value={score} />
        </label>
      ))}
      {truncated && <p>The input is longer than the model reads: its end was left out.</p>}
      <small>{timing && `${quantity(timing.totalMs)} ms`}</small>
    </section>
  );
}

/** Boxes are in pixels of the image with its EXIF orientation, as browsers show it. */
function Boxes({ boxes, src }: { boxes: Found; src: string }) {
  const [{ naturalWidth: width, naturalHeight: height }, setImage] = useState({ naturalWidth: 0, naturalHeight: 0 });
  return (
    <figure>
      <img alt="The input" src={src} onLoad={({ currentTarget }) => setImage(currentTarget)} />
      <svg viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
        {boxes.map(({ box: { xmin, ymin, xmax, ymax } }) => (
          <rect key={`${xmin} ${ymin}`} x={xmin} y={ymin} width={xmax - xmin} height={ymax - ymin} />
        ))}
      </svg>
    </figure>
  );
}

function Highlighted({ text, spans }: { text: string; spans: readonly Span[] }) {
  return (
    <p className="text">
      {spans.map(({ label, start, end }, i) => (
        <span key={start}>
          {text.slice(spans[i - 1]?.end ?? 0, start)}
          <mark>
            {text.slice(start, end)} <small>{label}</small>
          </mark>
        </span>
      ))}
      {text.slice(spans.at(-1)?.end ?? 0)}
    </p>
  );
}
