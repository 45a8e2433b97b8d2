/**
 * Chooses the locales of StringNormalizer nodes, which change the case of letters: one that knows all letters in place of
 * "C", and in place of American English where that is not installed.
 */
import {
  isAscii,
  isReplaceable,
  localeModel,
  localesOf,
  UTF8_LOCALES,
  withLocales,
} from '../onnx/string-normalizer.js';
import type { OpenSession } from './native/session-thread.js';

export class Locales {
  readonly #openSession: (bytes: Uint8Array, provider: string) => Promise<OpenSession>;
  /** What ONNX Runtime found, by locale: only those that `isReplaceable` and `UTF8_LOCALES` name. */
  readonly #installed = new Map<string, Promise<boolean>>();

  constructor(openSession: (bytes: Uint8Array, provider: string) => Promise<OpenSession>) {
    this.#openSession = openSession;
  }

  /** The copy of a model that runs: the same bytes if none of its locales is replaced. @throws MalformedProtobufError */
  async runnable(model: Uint8Array): Promise<Uint8Array> {
    const replaced: string[] = [];
    for (const locale of localesOf(model).filter(isReplaceable))
      if (isAscii(locale) || !(await this.#isInstalled(locale))) replaced.push(locale);
    if (replaced.length === 0) return model;
    for (const locale of UTF8_LOCALES)
      if (await this.#isInstalled(locale)) return withLocales(model, new Map(replaced.map((name) => [name, locale])));
    return model;
  }

  #isInstalled(locale: string): Promise<boolean> {
    const known = this.#installed.get(locale) ?? this.#try(locale);
    this.#installed.set(locale, known);
    return known;
  }

  async #try(locale: string): Promise<boolean> {
    try {
      await (await this.#openSession(localeModel(locale), 'cpu')).release();
      return true;
    } catch {
      return false;
    }
  }
}
