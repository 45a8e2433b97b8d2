/**
 * Periods of data keys: days in UTC, such as "2026-11-27". Keys that an earlier version has made have months, such as "2026-11".
 */
const DAY_MS = 86_400_000;
/** Sorts after every period; those of the year 10000 would sort before all others. */
const AFTER_ALL = '9999-99';
const YEAR_10000 = Date.UTC(10_000);
/** Length of the name of a month; the name of a day is longer. */
export const MONTH_CHARACTERS = 7;

/** The period of a new key: the day of this time. */
export function periodOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** From and until when values of a period are made, in milliseconds since 1970. Those of an index key: always. */
export function spanOf(period: string): { readonly from: number; readonly until: number } {
  if (period === '') return { from: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY };
  const [year = 0, month = 1, day] = period.split('-').map(Number);
  const from = Date.UTC(year, month - 1, day ?? 1);
  return { from, until: day === undefined ? Date.UTC(year, month) : from + DAY_MS };
}

interface Range {
  readonly from: string;
  readonly before: string;
}

/** The days, and the months, that are in a range of time as a whole: keys of others have sealed what is outside of it too. */
export interface WholePeriods {
  readonly days: Range;
  readonly months: Range;
}

export function periodsWithin(from: number, before: number): WholePeriods {
  const date = new Date(from);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
  const firstMonth = Date.UTC(year, month) === from ? from : Date.UTC(year, month + 1);
  const [firstDay, end] = [nameOf(Math.ceil(from / DAY_MS) * DAY_MS), nameOf(before)];
  return {
    days: { from: firstDay, before: end },
    months: { from: monthOf(nameOf(firstMonth)), before: monthOf(end) },
  };
}

function nameOf(ms: number): string {
  return ms < YEAR_10000 ? periodOf(ms) : AFTER_ALL;
}

function monthOf(day: string): string {
  return day.slice(0, MONTH_CHARACTERS);
}
