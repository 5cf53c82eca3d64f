// Types of the figures of the last minutes and hours, as used by pages and /history.json?of=NAME. The file history-rings.ts keeps the
// figures. Invariants: the times in a ring increase by stepMs; each series of a ring has a value for each time; an unknown value is null.

/** The names of all series. `usedBytes` and `totalBytes` belong to pools; all others are figures of a load. */
export const SERIES = [
  'readBytesPerSecond',
  'writtenBytesPerSecond',
  'readsPerSecond',
  'writesPerSecond',
  'p50Us',
  'p99Us',
  'p999Us',
  'usedBytes',
  'totalBytes',
] as const;
export type SeriesName = (typeof SERIES)[number];

/** Name of a history: `all` for the sum of everything, or an object of the picture. */
export type HistoryName = 'all' | `${'server' | 'client' | 'volume' | 'pool'}:${string}`;

export interface Ring {
  readonly stepMs: number;
  /** The times of the values, the oldest first. */
  readonly timesMs: readonly number[];
  readonly series: { readonly [K in SeriesName]?: readonly (number | null)[] };
}

/** The answer of /history.json. */
export interface History {
  readonly of: HistoryName;
  /** The rings of the object, the ring with the smallest step first; empty if the object has no history. */
  readonly rings: readonly Ring[];
}

export interface HistoryView {
  ringsOf(of: HistoryName): readonly Ring[];
}
