/** A log for apps of which statements are counted, or made to fail: `swept` resolves when the sweeper of the start has run. */
import { type Logger, pino } from 'pino';

export function sweptLog(): { readonly log: Logger; readonly swept: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const write = (line: string) => {
    if (line.includes('"the sweeper has run"')) resolve();
  };
  return { log: pino({ level: 'debug' }, { write }), swept: promise };
}
