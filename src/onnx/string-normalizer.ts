/**
 * The locales by which StringNormalizer changes the case of letters. In the locale "C", only the letters of ASCII have two
 * cases, so that "É" stays as it is, and words with it are missed that the framework found in training.
 *
 * The stored file is never changed. The locales are replaced in the bytes each time the model is loaded.
 */
import { encodeField, encodeNumber, fieldsOf, fieldText, type ProtobufField, stringField } from './protobuf.js';

/** What ONNX Runtime uses on Linux if a node names no locale, and what exporters for scikit-learn write by default. */
const DEFAULT_LOCALE = 'en_US.UTF-8';
/** Locales that change the case of all letters, best first. Most systems have the first one. */
export const UTF8_LOCALES: readonly string[] = ['C.UTF-8', DEFAULT_LOCALE];

const GRAPH = 7;
const NODE = 1;
const ATTRIBUTE = 5;
const ATTRIBUTE_NAME = 1;
const ATTRIBUTE_STRING = 4;
const ATTRIBUTE_TYPE = 20;
const STRING_TYPE = 3;

/**
 * Whether another locale may be used instead: of "C", which knows only the letters of ASCII, and of American English,
 * under its names on Linux and Windows. Turkish, for example, has a case of its own for "i".
 */
export function isReplaceable(locale: string): boolean {
  return isAscii(locale) || /^en[-_]US(\.utf-?8)?$/i.test(locale);
}

/** Whether a locale is always installed and changes the case of ASCII only. */
export function isAscii(locale: string): boolean {
  return locale === 'C' || locale === 'POSIX';
}

/** The different locales of the graph's StringNormalizer nodes, in the order of the file. @throws MalformedProtobufError */
export function localesOf(model: Uint8Array): string[] {
  const locales = new Set<string>();
  for (const { bytes: graph } of fieldsNumbered(model, GRAPH))
    for (const { bytes: node } of fieldsNumbered(graph, NODE)) {
      const locale = localeOf(node);
      if (locale !== null) locales.add(locale);
    }
  return [...locales];
}

/** Returns the model with other locales, or the same bytes if none is replaced. @throws MalformedProtobufError */
export function withLocales(model: Uint8Array, replacements: ReadonlyMap<string, string>): Uint8Array {
  if (!localesOf(model).some((locale) => replacements.has(locale))) return model;
  return rewritten(model, GRAPH, (graph) =>
    rewritten(graph, NODE, (node) => {
      const replacement = replacements.get(localeOf(node) ?? '');
      return replacement === undefined ? node : withLocale(node, replacement);
    }),
  );
}

/** Null for another operator. */
function localeOf(node: Uint8Array): string | null {
  const found = { op: '', locale: DEFAULT_LOCALE };
  for (const field of fieldsOf(node)) {
    if (field.number === 4) found.op = fieldText(field);
    else if (isLocale(field)) found.locale = stringField(field.bytes, ATTRIBUTE_STRING);
  }
  return found.op === 'StringNormalizer' ? found.locale : null;
}

function withLocale(node: Uint8Array, locale: string): Uint8Array {
  const kept = Array.from(fieldsOf(node)).filter((field) => !isLocale(field));
  const attribute = Buffer.concat([
    encodeField(ATTRIBUTE_NAME, 'locale'),
    encodeField(ATTRIBUTE_STRING, locale),
    encodeNumber(ATTRIBUTE_TYPE, STRING_TYPE),
  ]);
  return Buffer.concat([...kept.map(({ whole }) => whole), encodeField(ATTRIBUTE, attribute)]);
}

function isLocale({ number, bytes }: ProtobufField): boolean {
  return number === ATTRIBUTE && stringField(bytes, ATTRIBUTE_NAME) === 'locale';
}

function fieldsNumbered(message: Uint8Array, number: number): ProtobufField[] {
  return [...fieldsOf(message)].filter((field) => field.number === number);
}

/** A minimal model to find out whether a locale is installed: y = StringNormalizer(x), x: string[N]. */
export function localeModel(locale: string): Uint8Array {
  return withLocales(NO_LOCALE_MODEL, new Map([[DEFAULT_LOCALE, locale]]));
}

/** IR version 8, opset 13. */
const NO_LOCALE_MODEL = Buffer.from(
  'CAg6ewpSCgF4EgF5IhBTdHJpbmdOb3JtYWxpemVyKh4KEmNhc2VfY2hhbmdlX2FjdGlvbiIFTE9XRVKgAQMqGAoRaXNfY2FzZV9zZW5zaXRpdmUYAKABAhIBZ1oQCgF4EgsKCQgIEgUKAxIBTmIQCgF5EgsKCQgIEgUKAxIBTkIECgAQDQ==',
  'base64',
);

/** The message with each field of that number rewritten. */
function rewritten(message: Uint8Array, number: number, rewrite: (bytes: Uint8Array) => Uint8Array): Uint8Array {
  const parts = Array.from(fieldsOf(message), (field) =>
    field.number === number ? encodeField(number, rewrite(field.bytes)) : field.whole,
  );
  return Buffer.concat(parts);
}
