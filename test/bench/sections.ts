/** What a part of the benchmark reports. */

export interface Goal {
  readonly what: string;
  readonly aim: string;
  readonly measured: string;
  readonly isMet: boolean;
}

export interface Section {
  /** Begins with a heading of level 2. */
  readonly markdown: string;
  readonly goals?: readonly Goal[];
  /** SVG by file name. */
  readonly plots?: Readonly<Record<string, string>>;
}
