/** The recipes of models that `npm run models:add` adds: each has what a reader and the command need. Nothing is installed. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { TASKS } from '#src/tasks/tasks.js';

const OPTIONAL = path.resolve('model-store/optional');
const NAMES = readdirSync(OPTIONAL, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

const SECTIONS = [
  'Intended use',
  'Limitations',
  'Training data',
  'Evaluation data',
  'Ethical considerations',
  'How it was made',
  'License',
];

function read(name: string, file: string): string {
  return readFileSync(path.join(OPTIONAL, name, file), 'utf8');
}

function frontMatter(name: string): { pipeline_tag: string; license: string } {
  return parse(/^---\n(.*?)\n---\n/s.exec(read(name, 'README.md'))?.[1] ?? '');
}

/** The requirements, without comments. */
function requirements(name: string): string[] {
  return read(name, 'requirements.txt')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
}

test('there are at least six models', () => {
  expect(NAMES.length).toBeGreaterThanOrEqual(6);
});

describe.each(NAMES)('%s', (name) => {
  test('has a card with a task, a license and every section', () => {
    const { pipeline_tag, license } = frontMatter(name);
    const card = read(name, 'README.md');

    expect(TASKS).toContain(pipeline_tag.toUpperCase().replaceAll('-', '_'));
    expect(['apache-2.0', 'mit']).toContain(license);
    expect(card.split('\n').filter((line) => line.startsWith('## '))).toEqual(SECTIONS.map((title) => `## ${title}`));
  });

  test('has the text of its license', () => {
    const title = { 'apache-2.0': 'Apache License', mit: 'MIT License' }[frontMatter(name).license];

    expect(read(name, 'LICENSE').trimStart().split('\n')[0]?.trim()).toBe(title);
  });

  test('pins every requirement, and says how much is downloaded', () => {
    expect(requirements(name).filter((line) => !/^[\w.-]+==[\w.]+$/.test(line))).toEqual([]);
    expect(read(name, 'requirements.txt')).toMatch(/^# Download: \d+ MB\.$/m);
  });

  test('checks what it converts, and adds the license and golden cases to the model', () => {
    const recipe = read(name, 'convert.py');

    expect(recipe).toMatch(/"[0-9a-f]{64}"/);
    expect(recipe).toContain('"LICENSE"');
    expect(recipe).toContain('golden.json');
  });

  test('is not committed after it was added', () => {
    expect(readFileSync('.gitignore', 'utf8').split('\n')).toContain(`model-store/${name}/`);
  });

  test('is in the table of optional models, with the size of its download', () => {
    const row = readFileSync(path.join(OPTIONAL, 'README.md'), 'utf8')
      .split('\n')
      .find((line) => line.startsWith(`| [\`${name}\`](${name}/README.md) |`));

    expect(row).toContain(/^# Download: (\d+ MB)\.$/m.exec(read(name, 'requirements.txt'))?.[1]);
  });
});

test('the list shows the name, task, license, download and title of each model', () => {
  const list = execFileSync(process.execPath, [path.join(OPTIONAL, 'add.js')], { encoding: 'utf8' });

  const rows = list.split('\n').slice(2);
  expect(rows.map((row) => row.trim().split(/ {2,}/)[0]).filter(Boolean)).toEqual(NAMES);
  for (const name of NAMES) {
    const { pipeline_tag, license } = frontMatter(name);
    const title = /^# (.+)$/m.exec(read(name, 'README.md'))?.[1] as string;
    const row = rows.find((line) => line.startsWith(`  ${name} `)) as string;
    const isAdded = existsSync(path.join('model-store', name));
    expect(row.trim().split(/ {2,}/)).toEqual([
      name,
      pipeline_tag,
      license,
      expect.stringMatching(/^\d+ MB$/),
      isAdded ? `${title} (added)` : title,
    ]);
  }
});

test('a model that does not exist is refused with the list', () => {
  expect(() => execFileSync(process.execPath, [path.join(OPTIONAL, 'add.js'), 'nope'], { stdio: 'pipe' })).toThrow(
    /There is no model "nope" to add\.\nModels that can be added/,
  );
});
