/** What a person reads on a terminal of what the server logs. */
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { terminalLog } from '#src/terminal-log.js';

/** The lines that a logger writes; `isTty`: to a terminal with colors. */
function linesOf(log: (logger: pino.Logger) => void, isTty = false): string[] {
  const written: string[] = [];
  const stream = new Writable({
    decodeStrings: false,
    write: (text, _encoding, done) => {
      written.push(text);
      done();
    },
  });
  const terminal = Object.assign(stream, { isTTY: isTty, getColorDepth: () => 8 }) as unknown as NodeJS.WriteStream;
  log(pino({ level: 'trace' }, terminalLog(terminal)));
  return written.join('').split('\n').slice(0, -1);
}

const TIME = String.raw`\d\d:\d\d:\d\d`;

test('an entry is a line: the time, the level unless it is info, the message, and what belongs to it', () => {
  const lines = linesOf((log) => {
    log.info({ model: 'spam-filter', count: 2, reason: 'it is "full"', at: null }, 'imported');
    log.warn('a warning');
    log.debug({ list: [1, 'a b'] }, 'details');
    log.error({});
  });

  expect(lines).toEqual([
    expect.stringMatching(
      new RegExp(String.raw`^${TIME} imported model=spam-filter count=2 reason="it is \\"full\\"" at=null$`),
    ),
    expect.stringMatching(new RegExp(`^${TIME} warn a warning$`)),
    expect.stringMatching(new RegExp(String.raw`^${TIME} debug details list=\[1,"a b"\]$`)),
    expect.stringMatching(new RegExp(`^${TIME} error $`)),
  ]);
});

test('an error is followed by its stack, indented', () => {
  const [first, message, ...stack] = linesOf((log) => log.error({ err: new TypeError('broken') }, 'it failed'));

  expect(first).toMatch(/ error it failed$/);
  expect(message).toBe('  TypeError: broken');
  expect(stack.length).toBeGreaterThan(0);
  expect(stack.every((line) => line.startsWith('      at '))).toBe(true);
});

test('no caller can send commands to the terminal, add lines or turn the text around', () => {
  const evil = '\u001b[2Jx\r\ny\u009b1m\u202e\u2028\u200f';
  const lines = linesOf((log) => {
    const error = new Error(evil);
    log.warn({ model: evil, [evil]: 1, err: error }, evil);
  });

  // The stack of the error has a line for each line of its message.
  expect(lines.filter((line) => !line.startsWith('  '))).toHaveLength(1);
  expect(lines.join('')).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
  expect(lines[0]).toContain(String.raw`\u001b[2Jx\u000d\u000ay\u009b1m\u202e\u2028\u200f`);
});

test('a terminal with colors shows warnings in yellow and errors in red, and what is redirected has none', () => {
  const log = (logger: pino.Logger) => {
    logger.warn('w');
    logger.error('e');
    logger.info('i');
  };

  const [warning, error, info] = linesOf(log, true);

  expect(warning).toContain('\u001b[33mwarn\u001b[39m w');
  expect(error).toContain('\u001b[31merror\u001b[39m e');
  for (const color of ['\u001b[31m', '\u001b[33m']) expect(info).not.toContain(color);
  expect(linesOf(log).join('')).not.toContain('\u001b');
});
