/**
 * `npm run client -- --url <url> --out <file> [--key-file <file>] [--models <name,…>]`: writes a client in TypeScript with the
 * types of the versions in a catalog: the rows that they take, and the labels that they answer with. For each model: its
 * default version, and those with an alias. Write it again when models change.
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';

/** With more, name the ones that are used with `--models`. */
const MAX_MODELS = 1_000;
/** A union of more labels would slow down the compiler; they are strings then. */
const MAX_LABELS = 1_000;

export interface ColumnOf {
  name: string;
  type: string;
  description: string | null;
  unit: string | null;
  minimum: number | null;
  maximum: number | null;
  categories: string[];
  required: boolean;
}

export interface SignatureOf {
  inputKind: string;
  outputType: string;
  columns: ColumnOf[];
  labels: string[];
  targets: { name: string; labels: string[] }[];
}

/** A version, and the references that name it. */
export interface VersionOf {
  title: string;
  ref: string;
  names: string[];
  signature: SignatureOf;
}

/** The source of the client. */
export async function clientFor(versions: readonly VersionOf[]): Promise<string> {
  const read = (file: string) => readFile(path.join(import.meta.dirname, file), 'utf8');
  const runtime = (await read('client-runtime.ts'))
    .replace('/** Replaced by `schema/operations/14-any-answer.graphql`. */\n', '')
    .replace("const DOCUMENT = '';", () => '');
  const document = JSON.stringify(await read('operations/14-any-answer.graphql'));
  const entries = versions.flatMap((version) => version.names.map((name) => `  ${quoted(name)}: ${nameOf(version)};`));
  const interfaces = versions.map(interfaceOf);
  return `// Written by \`npm run client\`; do not edit.
const DOCUMENT = ${document};

/** What each reference takes and answers with. */
export interface Models {
${entries.join('\n')}
}

/** The row that a model takes. */
export type RowOf<Name extends keyof Models> = Models[Name]['input'] extends { row: infer Row } ? Row : never;

/** The labels that a model answers with. */
export type LabelOf<Name extends keyof Models> = Models[Name]['output'] extends { label: infer Label }
  ? Label
  : Models[Name]['output'] extends { items: { label: infer Label }[] }
    ? Label
    : never;

${interfaces.join('\n\n')}

${runtime.slice(runtime.indexOf('\n') + 1).trim()}

/** \`new Client({ url, key })\` */
export class Client extends ModelgraphClient<Models> {}
`;
}

/** "spam-filter:3" → V_spam_filter_3: names have no underscores, so no two are the same. */
function nameOf({ ref }: VersionOf): string {
  return `V_${ref.replaceAll(/[^a-z0-9]/g, '_')}`;
}

function interfaceOf(version: VersionOf): string {
  const { signature, title, ref } = version;
  return `${commentOf([`${title}: ${ref}`], '')}
interface ${nameOf(version)} {
  input: ${inputOf(signature)};
  output: ${outputOf(signature)};
}`;
}

const INPUTS: Readonly<Record<string, string>> = {
  TEXT: '{ text: string }',
  PROMPTED_TEXT: '{ promptedText: { text: string; prompt: string } }',
  SIMILARITY:
    '{ similarity: { source: string; sentences: string[]; sourcePrompt?: string; sentencesPrompt?: string } }',
  RANKING: '{ ranking: { query: string; documents: string[]; prompt?: string } }',
  ZERO_SHOT: '{ zeroShot: { text: string; labels: string[]; multiLabel?: boolean; hypothesisTemplate?: string } }',
  QUESTION: '{ question: { question: string; context: string; handleImpossibleAnswer?: boolean } }',
  IMAGE: '{ image: { base64: string } }',
  BYTES: '{ bytes: string }',
  SERIES: '{ series: { values: (number | string | boolean | null)[][] } }',
  TENSORS: '{ tensors: { name: string; datatype: string; shape: number[]; data?: unknown; base64?: string }[] }',
};

function inputOf({ inputKind, columns }: SignatureOf): string {
  if (inputKind !== 'ROW') return INPUTS[inputKind] ?? 'Record<string, unknown>';
  return `{\n    row: {\n${columns.map(columnOf).join('\n')}\n    };\n  }`;
}

function columnOf({ name, type, required, categories, description, unit, minimum, maximum }: ColumnOf): string {
  const types: Readonly<Record<string, string>> = { TEXT: 'string', BOOLEAN: 'boolean', CATEGORY: unionOf(categories) };
  const isLimited = minimum !== null || maximum !== null;
  const limits = isLimited ? [`From ${minimum ?? '-∞'} to ${maximum ?? '∞'}`] : [];
  const comment = [...(description ? [description] : []), ...(unit ? [`Unit: ${unit}`] : []), ...limits];
  const value = types[type] ?? 'number';
  const line = `      ${quoted(name)}${required ? `: ${value}` : `?: ${value} | null`};`;
  return comment.length > 0 ? `${commentOf(comment, '      ')}\n${line}` : line;
}

function outputOf({ outputType, labels, targets }: SignatureOf): string {
  if (['Classification', 'Detections', 'Masks'].includes(outputType)) return `${outputType}<${unionOf(labels)}>`;
  if (outputType === 'Values') return `Values<${unionOf(targets.map(({ name }) => name))}>`;
  if (outputType !== 'MultiClassification') return outputType;
  const types = targets.map(({ name, labels: own }) => `Target<${quoted(name)}, ${unionOf(own)}>`);
  return `MultiClassification<${types.join(' | ') || 'Target'}>`;
}

function unionOf(values: readonly string[]): string {
  if (values.length === 0 || values.length > MAX_LABELS) return 'string';
  return [...new Set(values)].map(quoted).join(' | ');
}

/** Names, labels and titles are whatever owners of models wrote: they must not end the text or the comment that they are in. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
}

function commentOf(sentences: readonly string[], indent: string): string {
  const text = sentences.map((sentence) => sentence.trim().replace(/\.$/, '')).join('. ');
  return `${indent}/** ${text.replaceAll(/[\r\n\u2028\u2029]+/g, ' ').replaceAll('*/', '*\\/')}. */`;
}

const LIST = `query ClientModels($first: Int!, $after: String) {
  models(first: $first, after: $after) {
    nodes { name title version { ref } aliases { name aliasedVersion { ref } } }
    pageInfo { hasNextPage endCursor }
  }
}`;
const SIGNATURE = `query ClientSignature($ref: VersionRef!) {
  version(ref: $ref) {
    signature {
      inputKind outputType labels targets { name labels }
      columns { name type description unit minimum maximum categories required }
    }
  }
}`;

type Send = (query: string, variables: Record<string, unknown>) => Promise<Record<string, unknown>>;

/** The versions that references of these models name; of all models if `wanted` is null. @throws Error */
export async function readVersions(send: Send, wanted: readonly string[] | null): Promise<VersionOf[]> {
  const versions: VersionOf[] = [];
  for (const { name, title, version, aliases } of await readModels(send, wanted)) {
    const names = new Map<string, string[]>();
    const add = (ref: string, as: string) => names.set(ref, [...(names.get(ref) ?? [ref]), as]);
    if (version) add(version.ref, name);
    if (wanted && !version) throw new Error(`${name} has no version that can run, or not yet.`);
    for (const alias of aliases) add(alias.aliasedVersion.ref, `${name}@${alias.name}`);
    for (const [ref, own] of names) {
      const found = (await send(SIGNATURE, { ref }))['version'] as { signature: SignatureOf | null } | null;
      if (found?.signature) versions.push({ title, ref, names: own, signature: found.signature });
    }
  }
  if (versions.length === 0)
    throw new Error(
      'No model can run, or not yet: a server that starts prints "ready" when it has imported its models.',
    );
  return versions;
}

interface ModelOf {
  name: string;
  title: string;
  version: { ref: string } | null;
  aliases: { name: string; aliasedVersion: { ref: string } }[];
}

async function readModels(send: Send, wanted: readonly string[] | null): Promise<ModelOf[]> {
  const found: ModelOf[] = [];
  let pageInfo: { hasNextPage: boolean; endCursor: string | null } = { hasNextPage: true, endCursor: null };
  while (pageInfo.hasNextPage) {
    const page: { nodes: ModelOf[]; pageInfo: typeof pageInfo } = (
      await send(LIST, { first: 100, after: pageInfo.endCursor })
    )['models'] as never;
    found.push(...page.nodes.filter(({ name }) => wanted === null || wanted.includes(name)));
    if (found.length > MAX_MODELS)
      throw new Error(`There are more than ${MAX_MODELS} models: name those that you use with --models.`);
    pageInfo = page.pageInfo;
  }
  const missing = (wanted ?? []).filter((name) => !found.some((model) => model.name === name));
  if (missing.length > 0)
    throw new Error(`These models do not exist, or the key may not see them: ${missing.join(', ')}.`);
  return found;
}

export function sender(url: string, key: string | null): Send {
  const headers = { 'content-type': 'application/json', ...(key ? { authorization: `Bearer ${key}` } : {}) };
  return async (query, variables) => {
    const request = { method: 'POST', headers, body: JSON.stringify({ query, variables }) };
    const { data, errors } = await readJson(url, request);
    if (errors?.[0]) throw new Error(errors[0].message);
    return data;
  };
}

interface Answer {
  data: Record<string, unknown>;
  errors?: { message: string }[];
}

async function readJson(url: string, request: RequestInit): Promise<Answer> {
  const response = await fetch(url, request).catch(({ message, cause }: Error) => {
    const { code, message: reason } = (cause ?? {}) as NodeJS.ErrnoException;
    throw new Error(`${url} does not answer: ${code ?? reason ?? message}. Does the server run there?`);
  });
  const answer = await response.json().catch(() => {
    throw new Error(`${url} does not answer with JSON (HTTP ${response.status}). The URL ends in /graphql.`);
  });
  return answer as Answer;
}

const USAGE = 'usage: npm run client -- --url <url of the API> --out <file> [--key-file <file>] [--models <name,…>]';

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ options: { url: text, out: text, 'key-file': text, models: text } });
  const { url, out, 'key-file': keyFile, models } = values;
  if (!url || !out) throw new Error(USAGE);
  const key = keyFile ? (await readFile(keyFile, 'utf8')).trim() : null;
  const versions = await readVersions(sender(url, key), models?.split(',').map((name) => name.trim()) ?? null);
  await writeFile(out, await clientFor(versions));
  console.log(`${out}: ${versions.length} versions of ${url}`);
}

if (process.argv[1] === import.meta.filename) {
  await main().catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  });
}
