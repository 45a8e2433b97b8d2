/** Class names in the metadata of an ONNX file. */
import { MAX_NAMES_CHARACTERS, parseClassNames } from '#src/onnx/class-names.js';

test.each([
  ["{0: 'person', 1: 'bicycle'}", ['person', 'bicycle']],
  [`{0: "it's", 1: 'a "b"', 2: 'a, 3: b}'}`, ["it's", 'a "b"', 'a, 3: b}']],
  ['{"0": "a", "1": "b"}', ['a', 'b']],
  [String.raw`{0: 'a\\b\'c', 1: '\xe9\u4e2d\U0001f600', 2: 'x\ty'}`, ["a\\b'c", '\u00e9\u4e2d\u{1f600}', 'x\ty']],
  ["{0: 'one',}", ['one']],
])('%s has names', (text, names) => {
  expect(parseClassNames(text)).toEqual(names);
});

test.each([
  '',
  '{}',
  "['a', 'b']",
  "{1: 'a'}",
  "{0: 'a', 2: 'b'}",
  "{0: 'a' 1: 'b'}",
  "{0: 'a', 1: }",
  "{0: 'a",
  "{0: ''}",
  '{0: 1}',
  String.raw`{0: '\U00110000'}`,
  `{0: '${'a'.repeat(MAX_NAMES_CHARACTERS)}'}`,
])('other texts have none', (text) => {
  expect(parseClassNames(text)).toBeNull();
});
