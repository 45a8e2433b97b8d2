/** Reads a model card: Markdown with Hugging Face front matter, a title, a summary and sections with known headings. */

export interface Card {
  readonly title: string;
  readonly summary: string | null;
  readonly intendedUse: string | null;
  readonly limitations: string | null;
  readonly trainingData: string | null;
  readonly evaluationData: string | null;
  readonly ethicalConsiderations: string | null;
  readonly markdown: string;
}

/** Splits a README.md into its YAML front matter, '' if there is none, and the Markdown below it. */
export function splitFrontMatter(readme: string): { matter: string; markdown: string } {
  const text = readme.replaceAll('\r\n', '\n');
  const [match, matter = '', markdown = ''] = /^---\n(.*?)\n---(?:\n(.*))?$/s.exec(text) ?? [];
  return { matter, markdown: (match ? markdown : text).trim() };
}

/** The title is the first heading, by default `name`; the summary is the paragraph below it. */
export function readCard(markdown: string, name: string): Card {
  const parts = markdown.split(/^## /m).slice(1);
  const section = (title: string) => sectionOf(parts, title);
  const [, title = name, rest = markdown] = /^# ([^\r\n]+)(?:\r?\n(.*))?$/s.exec(markdown) ?? [];
  const summary =
    rest
      .trim()
      .split(/\r?\n\s*\r?\n/, 1)[0]
      ?.trim() ?? '';
  return {
    title: title.trim(),
    summary: summary === '' || summary.startsWith('#') ? null : summary.replaceAll(/\s*\n\s*/g, ' '),
    intendedUse: section('Intended use'),
    limitations: section('Limitations'),
    trainingData: section('Training data'),
    evaluationData: section('Evaluation data'),
    ethicalConsiderations: section('Ethical considerations'),
    markdown,
  };
}

function sectionOf(parts: readonly string[], title: string): string | null {
  const section = parts.find((part) => part.toLowerCase().startsWith(`${title.toLowerCase()}\n`));
  return section?.slice(title.length).trim() || null;
}
