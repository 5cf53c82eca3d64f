// The figures of the last minutes and hours, as pages and /history.json?of=NAME have them. The sampler fills it; this file has only types and
// names. Invariants: the times of a ring grow by stepMs; each series of a ring has a value for each time; a value that is not known is null.

/** The first kinds are figures of a load; `usedBytes` and `totalBytes` belong to pools. */
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

/** What has a history: the sum of everything, or an object of the picture. */
export type HistoryName = 'all' | `${'server' | 'client' | 'volume' | 'pool'}:${string}`;

export interface Ring {
  readonly stepMs: number;
  /** The oldest first. */
  readonly timesMs: readonly number[];
  readonly series: { readonly [K in SeriesName]?: readonly (number | null)[] };
}

/** The answer of /history.json. */
export interface History {
  readonly of: HistoryName;
  /** The finest first; empty if nothing is known of the object. */
  readonly rings: readonly Ring[];
}

/** What pages ask. */
export interface HistoryView {
  ringsOf(of: HistoryName): readonly Ring[];
}
