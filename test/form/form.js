/**
 * A form for any model, built only from its signature, and a view of any answer, chosen only by its type.
 *
 * Open it with `?server=http://127.0.0.1:4000&model=name`. It has no code for particular models.
 */
const SIGNATURE = `query Signature($ref: VersionRef!) {
  version(ref: $ref) {
    ref
    model { title summary }
    signature {
      inputKind
      columns { name type unit minimum maximum categories required example description }
      labels maskToken prompts { name isDefault } example multiLabel
    }
  }
}`;

const PREDICT = `mutation Predict($input: PredictInput!) {
  predict(input: $input) {
    prediction {
      truncated
      output {
        __typename
        ... on Classification { label score classes(first: 10) { label score } }
        ... on Regression { value unit }
        ... on MultiClassification { targets { name label score } }
        ... on Values { values { name value unit } }
        ... on Embedding { dimensions vector }
        ... on Similarities { scores }
        ... on Ranking { items { text score } }
        ... on Detections { items { label score box { xmin ymin xmax ymax } } }
        ... on Masks { width height items { label pixelCount } }
        ... on Tokens { items { label score start end } }
        ... on Answer { text score start end }
        ... on Fillings { items { text score sequence } }
        ... on Text { text score }
        ... on Tensors { tensors { name datatype shape data } }
      }
    }
    problem { code message ... on InvalidInput { problems { path message expected } } }
  }
}`;

const parameters = new URLSearchParams(location.search);
const byId = (id) => document.getElementById(id);

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** The data of the response. @throws Error with a message to show */
async function ask(query, variables) {
  const response = await fetch(`${parameters.get('server')}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  }).catch(() => {
    throw new Error('The server cannot be reached. Is it running?');
  });
  const { data, errors } = await response.json().catch(() => {
    throw new Error(`The response of the server is not JSON (HTTP ${response.status}).`);
  });
  if (errors) throw new Error(errors.map(({ message }) => message).join(' '));
  return data;
}

/** Shows a status while the work runs, and an error with a retry button if it fails. */
async function during(state, work) {
  const main = document.querySelector('main');
  const button = byId('form').querySelector('button');
  byId('state').textContent = state;
  byId('trouble').replaceChildren();
  main.ariaBusy = 'true';
  button.disabled = true;
  try {
    await work();
  } catch ({ message }) {
    const again = element('button', { type: 'button', onclick: () => during(state, work) }, 'Try again');
    byId('trouble').append(element('p', {}, message), again);
  }
  byId('state').textContent = '';
  button.disabled = false;
  main.ariaBusy = 'false';
}

// Controls: an element, and a function that reads its value. Undefined values are not sent.

function line(value = '') {
  const control = element('input', { type: 'text', value });
  return { control, read: () => control.value };
}

function area(value = '') {
  const control = element('textarea', { value });
  return { control, isWide: true, read: () => control.value };
}

function lines(values = []) {
  const { control } = area(values.join('\n'));
  return { control, isWide: true, read: () => control.value.split('\n').filter((one) => one.trim() !== '') };
}

function json(value = []) {
  const { control } = area(`[\n${value.map((one) => JSON.stringify(one)).join(',\n')}\n]`);
  control.className = 'code';
  return { control, isWide: true, read: () => JSON.parse(control.value) };
}

function checkbox(checked = false) {
  const control = element('input', { type: 'checkbox', checked });
  return { control, read: () => control.checked };
}

function choice(options, { value = '', required }) {
  const control = element('select', {}, ...options.map((option) => element('option', { value: option }, option)));
  if (!required) control.prepend(element('option', { value: '' }, ''));
  control.value = value;
  return { control, read: () => control.value || undefined };
}

function number({ type, minimum, maximum }, value = '') {
  const control = element('input', { type: 'number', step: type === 'INTEGER' ? '1' : 'any', value });
  if (minimum !== null) control.min = minimum;
  if (maximum !== null) control.max = maximum;
  return {
    control,
    read: () => {
      if (control.validity.badInput) throw new Error('this is not a number');
      return control.value === '' ? undefined : control.valueAsNumber;
    },
  };
}

function imageFile(base64 = '') {
  const control = element('input', { type: 'file', accept: 'image/jpeg,image/png,image/webp' });
  const preview = element('img', { alt: 'Image to send', src: urlOf(base64) });
  // The example is sent until a file is chosen.
  const read = () => (control.files[0] ? readFile(control.files[0]) : base64);
  preview.onerror = () => (preview.hidden = true);
  control.onchange = async () => {
    preview.hidden = false;
    preview.src = urlOf(await read());
  };
  return { control, preview, isWide: true, read };
}

function anyFile(base64 = '') {
  const control = element('input', { type: 'file' });
  // The example is sent until a file is chosen.
  return { control, isWide: true, read: () => (control.files[0] ? readFile(control.files[0]) : base64) };
}

function urlOf(base64) {
  return base64.startsWith('data:') ? base64 : `data:image/*;base64,${base64}`;
}

function readFile(file) {
  const reader = new FileReader();
  reader.readAsDataURL(file);
  return new Promise((resolve, reject) => {
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error('this file cannot be read'));
  });
}

// Fields of a signature. Each has its path in `ModelInput`.

const FIELDS = {
  ROW: ({ columns }, { row = {} }) =>
    columns.map((column) => {
      const { name, unit } = column;
      const label = name.replaceAll('_', ' ') + (unit ? ` (${unit})` : '');
      return field(['row', name], label, cell(column, row[name] ?? undefined), hintOf(column));
    }),
  SERIES: ({ columns }, { series }) => [
    field(
      ['series', 'values'],
      'Time series',
      json(series?.values),
      `JSON, one list for each step: ${columns.map(({ name }) => name).join(', ')}.`,
    ),
  ],
  TEXT: ({ maskToken, prompts }, { text }) =>
    prompts.length > 0
      ? [
          field(['promptedText', 'text'], 'Text', area(text)),
          field(['promptedText', 'prompt'], 'Prompt', promptChoice(prompts)),
        ]
      : [field(['text'], 'Text', area(text), maskToken ? `${maskToken} marks the word to predict.` : '')],
  IMAGE: (_signature, { image }) => [
    field(
      ['image', 'base64'],
      'Image',
      imageFile(image?.base64),
      'JPEG, PNG or WebP. If you choose no file, the image shown is sent.',
    ),
  ],
  BYTES: (_signature, { bytes }) => [
    field(['bytes'], 'File', anyFile(bytes), 'If you choose no file, the example is sent.'),
  ],
  QUESTION: (_signature, { question = {} }) => [
    field(['question', 'question'], 'Question', { ...line(question.question), isWide: true }),
    field(['question', 'context'], 'Context', area(question.context)),
    field(
      ['question', 'handleImpossibleAnswer'],
      'Allow "no answer"',
      checkbox(question.handleImpossibleAnswer ?? true),
    ),
  ],
  SIMILARITY: ({ prompts }, { similarity = {} }) => [
    field(['similarity', 'source'], 'Text', area(similarity.source)),
    field(['similarity', 'sentences'], 'Sentences to compare', lines(similarity.sentences), 'One per line.'),
    ...promptFields(prompts, {
      'similarity.sourcePrompt': 'Prompt',
      'similarity.sentencesPrompt': 'Prompt of sentences',
    }),
  ],
  ZERO_SHOT: (_signature, { zeroShot = {} }) => [
    field(['zeroShot', 'text'], 'Text', area(zeroShot.text)),
    field(['zeroShot', 'labels'], 'Labels', lines(zeroShot.labels), 'One per line.'),
    field(['zeroShot', 'multiLabel'], 'Several labels may apply', checkbox(zeroShot.multiLabel)),
  ],
  RANKING: ({ prompts }, { ranking = {} }) => [
    field(['ranking', 'query'], 'Query', line(ranking.query)),
    field(['ranking', 'documents'], 'Documents', lines(ranking.documents), 'One per line.'),
    ...promptFields(prompts, { 'ranking.prompt': 'Prompt' }),
  ],
  TENSORS: (_signature, { tensors }) => [
    field(['tensors'], 'Tensors', json(tensors), 'JSON, one tensor for each input.'),
  ],
};

/** Without a default prompt, an input may have none. */
function promptChoice(prompts) {
  const standard = prompts.find(({ isDefault }) => isDefault)?.name;
  const names = prompts.map(({ name }) => name);
  return choice(names, { value: standard, required: standard !== undefined });
}

/** None if the model has no prompts. */
function promptFields(prompts, labels) {
  if (prompts.length === 0) return [];
  return Object.entries(labels).map(([path, label]) => field(path.split('.'), label, promptChoice(prompts)));
}

/** The control for a value of a column. If the value is not required, the control can be left empty. */
function cell(column, value) {
  const { type, categories, required } = column;
  if (type === 'CATEGORY') return choice(categories, { value, required });
  if (type === 'BOOLEAN' && required) return checkbox(value);
  if (type === 'BOOLEAN') {
    const { control, read } = choice(['true', 'false'], { value: value?.toString(), required });
    return { control, read: () => read() && read() === 'true' };
  }
  if (type !== 'TEXT') return number(column, value);
  const { control, read } = line(value);
  return { control, read: () => (required ? read() : read() || undefined) };
}

function hintOf({ minimum, maximum, required, description }) {
  const hasBoth = minimum !== null && maximum !== null;
  const range = hasBoth
    ? `${minimum} to ${maximum}.`
    : minimum !== null
      ? `At least ${minimum}.`
      : maximum !== null
        ? `At most ${maximum}.`
        : '';
  return [description, range, required ? '' : 'Optional.'].filter(Boolean).join(' ');
}

function field(path, label, { control, preview, isWide, read }, hint = '') {
  control.id = path.join('.');
  const problem = element('p', { className: 'problem', id: `${control.id}:problem` });
  const note = element('small', { id: `${control.id}:note` }, hint);
  control.setAttribute('aria-describedby', `${problem.id} ${note.id}`);
  const parts = [element('label', { htmlFor: control.id }, label), control, problem, note];
  if (preview) parts.push(preview);
  const tell = (message) => {
    problem.textContent = [problem.textContent, message].filter(Boolean).join('; ');
    control.ariaInvalid = 'true';
  };
  const clear = () => {
    problem.textContent = '';
    control.ariaInvalid = 'false';
  };
  return {
    path,
    control,
    read,
    tell,
    clear,
    element: element('div', { className: isWide ? 'field wide' : 'field' }, ...parts),
  };
}

/** The input to send; null if a field has an invalid value. */
async function readInput(fields) {
  const values = [];
  for (const { path, read, tell } of fields) {
    try {
      values.push([path, await read()]);
    } catch ({ message }) {
      tell(message);
      return null;
    }
  }
  const [[[kind, ...rest], first]] = values;
  if (rest.length === 0) return { [kind]: first };
  const parts = Object.fromEntries(values.map(([[, name], value]) => [name, value]));
  // `promptedText` names a prompt; a text without one is sent as `text`.
  return kind === 'promptedText' && parts.prompt === undefined ? { text: parts.text } : { [kind]: parts };
}

/** Shows each problem at its field. @throws Error for a problem without a field */
function showProblems({ message, problems = [] }, fields) {
  for (const problem of problems) {
    // Paths start with the argument: `predict(input: { input: … })`.
    const path = problem.path.slice(2);
    const found = fields.find((field) => field.path.every((name, i) => name === path[i]));
    if (!found) throw new Error(message);
    const place = path
      .slice(found.path.length)
      .map((name) => (/^\d+$/.test(name) ? `number ${Number(name) + 1}` : name));
    const expected = problem.expected ? `expected ${problem.expected}` : '';
    found.tell([...place, problem.message, expected].filter(Boolean).join(': '));
  }
  if (problems.length === 0) throw new Error(message);
}

// Views of answers, by type.

const ANSWERS = {
  Classification: ({ label, score, classes }, { multiLabel, input }) => {
    const applying = classes.filter((one) => one.score >= 0.5).map((one) => one.label);
    const isMulti = multiLabel || input.zeroShot?.multiLabel;
    const title = isMulti ? applying.join(', ') || 'No label applies' : label;
    return [element('h2', {}, title), score === null ? 'The model returns no scores.' : scores(classes)];
  },
  Regression: (answer) => [element('h2', {}, quantity(answer))],
  MultiClassification: ({ targets }) => [
    element(
      'dl',
      {},
      ...targets.flatMap(({ name, label, score }) => [
        element('dt', {}, name),
        element('dd', {}, score === null ? label : `${label} (${short(score)})`),
      ]),
    ),
  ],
  Values: ({ values }) => [
    element('dl', {}, ...values.flatMap((one) => [element('dt', {}, one.name), element('dd', {}, quantity(one))])),
  ],
  Embedding: ({ dimensions, vector }) => [
    element('h2', {}, `${dimensions} dimensions`),
    element('pre', {}, `${vector.slice(0, 8).map(short).join(', ')}${dimensions > 8 ? ', …' : ''}`),
  ],
  Similarities: ({ scores: all }, { input }) => [
    scores(input.similarity.sentences.map((label, i) => ({ label, score: all[i] }))),
  ],
  Masks: ({ width, height, items }) => [
    scores(items.map(({ label, pixelCount }) => ({ label, score: pixelCount / (width * height) }))),
  ],
  Ranking: ({ items }) => [scores(items.map(({ text, score }) => ({ label: text, score })))],
  Detections: ({ items }, { input }) => [
    element('h2', {}, items.length === 0 ? 'No objects found' : `${items.length} found`),
    boxes(items, urlOf(input.image?.base64 ?? '')),
    scores(items),
  ],
  Tokens: ({ items }, { input }) => [highlighted(input.text, items)],
  Answer: ({ text, score, start, end }, { input }) => [
    element('h2', {}, text ?? 'No answer found'),
    highlighted(input.question.context, text === null ? [] : [{ start, end, label: short(score) }]),
  ],
  Fillings: ({ items }) => [scores(items.map(({ sequence, score }) => ({ label: sequence, score })))],
  Text: ({ text, score }) => [
    element('h2', {}, text || 'No text found'),
    element('p', { className: 'note' }, score === null ? '' : `Mean probability of the characters: ${short(score)}`),
  ],
  Tensors: ({ tensors }) => [element('pre', {}, tensors.map((tensor) => JSON.stringify(tensor)).join('\n'))],
};

const quantity = ({ value, unit }) =>
  [value.toLocaleString('en', { maximumSignificantDigits: 6 }), unit].filter(Boolean).join(' ');

const short = (score) => score.toFixed(3);

function scores(items) {
  const rows = items.map(({ label, score }) =>
    element(
      'li',
      {},
      element('span', {}, label),
      element('meter', { value: score, ariaLabel: label }),
      element('span', {}, short(score)),
    ),
  );
  return element('ol', { className: 'scores' }, ...rows);
}

/** Draws boxes over the image. Pixels become percentages of the image's size, and parts beyond its edges are cut off. */
function boxes(items, url) {
  const image = element('img', { alt: 'Image that was sent', src: url });
  const figure = element('figure', {}, image);
  image.onload = () => {
    const within = (value, size) => (100 * Math.min(Math.max(value, 0), size)) / size;
    for (const { label, score, box } of items) {
      const left = within(box.xmin, image.naturalWidth);
      const top = within(box.ymin, image.naturalHeight);
      const width = within(box.xmax, image.naturalWidth) - left;
      const height = within(box.ymax, image.naturalHeight) - top;
      const drawn = element('div', { className: 'box' }, element('span', {}, `${label} ${short(score)}`));
      drawn.classList.toggle('high', top < 10);
      Object.assign(drawn.style, { left: `${left}%`, top: `${top}%`, width: `${width}%`, height: `${height}%` });
      figure.append(drawn);
    }
  };
  return figure;
}

/** Offsets count UTF-16 code units, as JavaScript strings do. */
function highlighted(text, spans) {
  const parts = [];
  let at = 0;
  for (const { start, end, label } of spans) {
    parts.push(text.slice(at, start), element('mark', {}, text.slice(start, end), element('small', {}, label)));
    at = end;
  }
  return element('p', { className: 'read' }, ...parts, text.slice(at));
}

function showAnswer({ truncated, output }, context) {
  const { __typename, ...rest } = output;
  const show = ANSWERS[__typename] ?? (() => [element('pre', {}, JSON.stringify(rest, null, 1))]);
  const note = element(
    'p',
    { className: 'note' },
    'The input is longer than the model accepts, so part of it was ignored.',
  );
  byId('answer').replaceChildren(...show(rest, context), ...(truncated ? [note] : []));
}

async function predict(ref, { multiLabel }, fields) {
  byId('answer').replaceChildren();
  for (const { clear } of fields) clear();
  const input = await readInput(fields);
  if (input) {
    const { prediction, problem } = (await ask(PREDICT, { input: { model: ref, input } })).predict;
    if (problem) showProblems(problem, fields);
    else showAnswer(prediction, { multiLabel, input });
  }
  fields.find(({ control }) => control.ariaInvalid === 'true')?.control.focus();
}

async function start() {
  const { version } = await ask(SIGNATURE, { ref: parameters.get('model') });
  if (!version?.signature) throw new Error(`The model "${parameters.get('model')}" does not exist or cannot run.`);
  const { ref, model, signature } = version;
  const { inputKind, labels, example } = signature;
  const fields = FIELDS[inputKind](signature, example);
  document.title = model.title;
  byId('title').textContent = model.title;
  const listed =
    labels.length > 0 ? `Labels: ${labels.slice(0, 12).join(', ')}${labels.length > 12 ? ', …' : '.'}` : '';
  byId('about').textContent = [model.summary, listed].filter(Boolean).join(' ');
  byId('fields').replaceChildren(...fields.map((field) => field.element));
  byId('form').hidden = false;
  byId('form').onsubmit = (event) => {
    event.preventDefault();
    during('Running the model…', () => predict(ref, signature, fields));
  };
}

during('Loading the model…', start);
