// Types for a table of metrics, which has the type, help text and labels of each metric. Each daemon has one table of all its metrics. The
// exposition, the table in docs/OPERATING.md and the checks of rules and dashboards are derived from the daemons' tables. Invariant: names
// and labels follow the rules of Prometheus, which test/packaging/prometheus.test.ts and promtool check.

export interface MetricDefinition<L extends readonly string[] = readonly string[]> {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** One sentence without a full stop at the end. */
  readonly help: string;
  readonly labels: L;
}

export type MetricTable = Readonly<Record<string, MetricDefinition>>;

export function counter<const L extends readonly string[]>(help: string, ...labels: L): MetricDefinition<L> {
  return { type: 'counter', help, labels };
}

export function gauge<const L extends readonly string[]>(help: string, ...labels: L): MetricDefinition<L> {
  return { type: 'gauge', help, labels };
}

/** A histogram of seconds with the buckets of structures/latency-figures.ts. */
export function histogram<const L extends readonly string[]>(help: string, ...labels: L): MetricDefinition<L> {
  return { type: 'histogram', help, labels };
}

/** The values of the labels of a metric, in the order of the labels. */
export type LabelValues<L extends readonly string[]> = { readonly [K in keyof L]: string };
