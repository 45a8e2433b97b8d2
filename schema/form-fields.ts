/**
 * A form for any model, without a framework: its fields, by the signature of a version; the input that they make; and
 * which field is wrong. See `example-app/` for its use with React.
 */

export interface Field {
  /** Where its value is in `ModelInput`. */
  readonly path: readonly string[];
  /** The path as one text, unique in the form. */
  readonly name: string;
  readonly label: string;
  readonly control: 'line' | 'text' | 'lines' | 'json' | 'number' | 'checkbox' | 'choice' | 'image' | 'file';
  /** That of the example. */
  readonly value: unknown;
  readonly hint: string;
  /** Of a choice. */
  readonly options: readonly string[];
}

interface Column {
  readonly name: string;
  readonly title: string;
  readonly type: 'NUMBER' | 'INTEGER' | 'TEXT' | 'CATEGORY' | 'BOOLEAN' | 'IMAGE' | 'JSON';
  readonly description: string | null;
  readonly unit: string | null;
  readonly minimum: number | null;
  readonly maximum: number | null;
  readonly categories: readonly string[];
  readonly required: boolean;
}

/** The fragment `FormSignature`. */
interface Signature {
  readonly columns: readonly Column[];
  /** An input that can be sent unchanged. */
  readonly example: object;
}

const CONTROLS = {
  CATEGORY: 'choice',
  BOOLEAN: 'checkbox',
  TEXT: 'line',
  IMAGE: 'line',
  NUMBER: 'number',
  INTEGER: 'number',
  JSON: 'json',
} as const satisfies Record<Column['type'], Field['control']>;

export function fieldsOf({ columns, example }: Signature): Field[] {
  const [[kind, value] = ['', {}]] = Object.entries(example);
  if (kind === 'row') return columns.map((column) => fieldOfColumn(column, value[column.name]));
  const file = { hint: 'Until you choose a file, the example is sent.' };
  if (kind === 'image') return [field(['image', 'base64'], 'image', value.base64, file)];
  if (kind === 'bytes') return [field(['bytes'], 'file', value, { ...file, label: 'File' })];
  if (typeof value === 'string' || Array.isArray(value)) return [fieldOfPart([kind], value)];
  return Object.entries(value).map(([name, part]) => fieldOfPart([kind, name], part));
}

function fieldOfColumn(column: Column, value: unknown): Field {
  const { name, title, unit, type, description, minimum, maximum, categories, required } = column;
  const range = [minimum !== null && `At least ${minimum}.`, maximum !== null && `At most ${maximum}.`];
  const hint = [description, ...range, !required && 'Optional.'].filter(Boolean).join(' ');
  const label = unit ? `${title} (${unit})` : title;
  return field(['row', name], CONTROLS[type], value, {
    label,
    hint,
    options: required ? categories : ['', ...categories],
  });
}

/** Of an input that is not a row, by the type of its example. */
function fieldOfPart(path: string[], value: unknown): Field {
  if (typeof value === 'string') return field(path, 'text', value);
  if (typeof value === 'boolean') return field(path, 'checkbox', value);
  const isTexts = Array.isArray(value) && value.every((item) => typeof item === 'string');
  return isTexts
    ? field(path, 'lines', value, { hint: 'One per line.' })
    : field(path, 'json', value, { hint: 'JSON.' });
}

function field(path: string[], control: Field['control'], value: unknown, rest: Partial<Field> = {}): Field {
  const label = words(control === 'image' ? 'image' : (path.at(-1) ?? ''));
  return { path, name: path.join('.'), control, value, label, hint: '', options: [], ...rest };
}

/** "TEXT_CLASSIFICATION" and "zeroShot" as people read them. */
export function words(name: string): string {
  const text = (/[a-z]/.test(name) ? name.replaceAll(/[A-Z]/g, ' $&') : name.replaceAll('_', ' ')).toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What was entered; undefined if nothing was. @throws Error with a message for the field */
export async function valueOfField({ path, control, value }: Field, input: HTMLInputElement): Promise<unknown> {
  if (control === 'checkbox') return input.checked;
  if (control === 'lines') return input.value.split('\n').filter((line) => line.trim() !== '');
  if (control === 'json') return JSON.parse(input.value);
  if (control === 'image' || control === 'file') return input.files?.[0] ? dataUrlOf(input.files[0]) : value;
  if (input.validity.badInput) throw new Error('this is not a number');
  if (path[0] === 'row' && input.value === '') return undefined;
  return control === 'number' ? Number(input.value) : input.value;
}

function dataUrlOf(file: File): Promise<unknown> {
  const reader = new FileReader();
  return new Promise((resolve, reject) => {
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error('this file cannot be read'));
    reader.readAsDataURL(file);
  });
}

/** A `ModelInput` of the values by field; TypeScript cannot know which of its members it is. */
export function inputOf<ModelInput>(values: ReadonlyMap<Field, unknown>): ModelInput {
  const parts = Object.fromEntries(Array.from(values, ([{ path }, value]) => [path.at(-1), value]));
  const [kind = '', part] = values.keys().next().value?.path ?? [];
  return (part === undefined ? parts : { [kind]: parts }) as ModelInput;
}

interface InputProblem {
  readonly path: readonly string[];
  readonly message: string;
  readonly expected: string | null;
}

/** Length of the argument in front of every path: `predict(input: { input: … })`. */
const ARGUMENT = 2;

/** Messages by the name of the field; null if a problem belongs to no field. */
export function mistakesOf(problems: readonly InputProblem[], fields: readonly Field[]): Record<string, string> | null {
  const mistakes: Record<string, string> = {};
  for (const { path, message, expected } of problems) {
    const found = fields.find((one) => one.path.every((name, i) => name === path[ARGUMENT + i]));
    if (!found) return null;
    const place = path.slice(ARGUMENT + found.path.length);
    const what = [...place, message].join(': ');
    const text = `${what.charAt(0).toUpperCase()}${what.slice(1)}${expected ? ` (expected ${expected})` : ''}.`;
    mistakes[found.name] = [mistakes[found.name], text].filter(Boolean).join(' ');
  }
  return mistakes;
}
