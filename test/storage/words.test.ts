/** The words that a search knows: text of Markdown, and stems. */
import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { firstWordsOf, stem, textOfMarkdown, wordsOf } from '#src/storage/words.js';

test('stems are those of the Porter tokenizer of SQLite, for every word of the documentation', () => {
  const files = ['README.md', 'CHANGELOG.md', 'schema/README.md', 'src/README.md', 'src/DECISIONS.md'];
  const words = [...new Set(files.flatMap((file) => wordsOf(readFileSync(file, 'utf8'))))].filter((word) =>
    /^[a-z]{3,40}$/.test(word),
  );
  const db = new DatabaseSync(':memory:');
  db.exec(`create virtual table indexed using fts5(word, tokenize = 'porter unicode61');
    create virtual table vocabulary using fts5vocab(indexed, instance)`);
  const insert = db.prepare('insert into indexed (rowid, word) values (?, ?)');
  for (const [i, word] of words.entries()) insert.run(i, word);
  const expected = db
    .prepare('select term from vocabulary order by doc')
    .all()
    .map(({ term }) => term);
  db.close();

  expect(words.length).toBeGreaterThan(1_000);
  expect(words.map(stem)).toEqual(expected);
});

test.each([
  ['[the paper](https://example.org/path "A title")', ['the', 'paper', 'a', 'title']],
  ['<img src="photo.png" alt="x"> after', ['after']],
  ['a <!-- hidden\nremark --> b', ['a', 'b']],
  ['[1]: https://example.org\nrest', ['rest']],
  ['# Heading\n\n- **bold** _text_ | cell |\n\n```py\ncode()\n```', ['heading', 'bold', 'text', 'cell', 'py', 'code']],
  ['fish &amp; chips, 1 < 2 and 3 > 2', ['fish', 'chips', '1', '2', 'and', '3', '2']],
])('%j has the words %j', (markdown, words) => {
  expect(wordsOf(textOfMarkdown(markdown))).toEqual(words);
});

test('the first words of a text are distinct, in lower case, and at most as many as asked for', () => {
  expect(firstWordsOf('One two ONE, three\ud800 four', 3)).toEqual(['one', 'two', 'three']);
  expect(firstWordsOf('one one', 3)).toEqual(['one']);
  expect(firstWordsOf('--', 3)).toEqual([]);
});
