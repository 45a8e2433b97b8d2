/** Shows the log to a person: a line for each entry with the time, the level if it is not `info`, the message and what belongs to it. */
import { styleText } from 'node:util';
import { pino } from 'pino';

const COLORS = { warn: 'yellow', error: 'red', fatal: 'red' } as const;
/** What a terminal could take for a command, or shows in another order: callers choose some of what is logged. */
const CONTROLS = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

interface Entry {
  readonly level: number;
  readonly time: number;
  readonly msg?: string;
  readonly [key: string]: unknown;
}

/** A destination of pino, which writes each entry as a line of JSON. */
export function terminalLog(terminal: NodeJS.WriteStream): { write(line: string): void } {
  return { write: (line) => void terminal.write(`${shown(JSON.parse(line) as Entry, terminal)}\n`) };
}

function shown(
  { level, time, msg = '', pid: _pid, hostname: _hostname, err, ...more }: Entry,
  stream: NodeJS.WriteStream,
) {
  const name = pino.levels.labels[level] ?? String(level);
  const color = COLORS[name as keyof typeof COLORS];
  const label = name === 'info' ? [] : [color ? styleText(color, name, { stream }) : name];
  const details = Object.entries(more).map(([key, value]) => safe(`${key}=${textOf(value)}`));
  const words = [
    styleText('dim', new Date(time).toLocaleTimeString('en-GB'), { stream }),
    ...label,
    safe(msg),
    ...details.map((detail) => styleText('dim', detail, { stream })),
  ];
  return [words.join(' '), ...stackOf(err)].join('\n');
}

function textOf(value: unknown): string {
  return typeof value === 'string' && !/[\s"]/.test(value) ? value : JSON.stringify(value);
}

function stackOf(error: unknown): string[] {
  const stack = (error as { stack?: unknown } | undefined)?.stack;
  return typeof stack === 'string' ? stack.split('\n').map((line) => `  ${safe(line)}`) : [];
}

function safe(text: string): string {
  return text.replaceAll(CONTROLS, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
