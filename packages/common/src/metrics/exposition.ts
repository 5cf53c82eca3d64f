// Writes metrics in the text format of Prometheus, version 0.0.4. Values are added in any order; the text has the order of the table, with
// all series of a metric together, as the format demands. A client library would put registries into the data path; an exporter would be
// one more process with rights; pushing would need a queue and retries. Invariants: the text never has more than `seriesMax` series, and
// never the same series twice, because a reader would refuse the whole text.

import { LATENCY_EDGES_US, type LatencyFigures } from '@rsio/base/structures/latency-figures';
import type { LabelValues, MetricTable } from './metric-table.ts';

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

const US_PER_SECOND = 1e6;
/** Values of the label `le`, in seconds. */
const EDGES: readonly string[] = [...LATENCY_EDGES_US.map((us) => String(us / US_PER_SECOND)), '+Inf'];
/** Number of series of a histogram: a series for each bucket, a series for the sum and a series for the count. */
const HISTOGRAM_SERIES = EDGES.length + 2;

interface Family {
  /** The text of the metric. Each element has one or more lines. */
  readonly lines: string[];
  /** The labels of the series that were added. */
  readonly known: Set<string>;
}

export class Exposition<T extends MetricTable> {
  /** Number of series that were omitted, because there were too many or because another series has the same name and labels. */
  leftOut = 0;
  private readonly table: T;
  private readonly seriesMax: number;
  private readonly families = new Map<string, Family>();
  private series = 0;

  constructor(table: T, seriesMax: number) {
    this.table = table;
    this.seriesMax = seriesMax;
  }

  /** Adds a series. If `value` is null, the value is unknown, and the series is omitted. */
  add<N extends keyof T & string>(name: N, value: number | boolean | null, ...labels: LabelValues<T[N]['labels']>): void {
    if (value === null) return;
    const text = this.labelsOf(name, labels);
    this.take(name, text, 1)?.lines.push(`${name}${text === '' ? '' : `{${text}}`} ${printValue(Number(value))}`);
  }

  /** Adds the series of a histogram, but omits a histogram without samples. */
  addLatency<N extends keyof T & string>(name: N, latency: LatencyFigures, ...labels: LabelValues<T[N]['labels']>): void {
    const { buckets, sumUs } = latency;
    const count = buckets.reduce((sum, one) => sum + one, 0);
    if (count === 0) return;
    const own = this.labelsOf(name, labels);
    const family = this.take(name, own, HISTOGRAM_SERIES);
    if (family === null) return;
    const before = own === '' ? '' : `${own},`;
    const after = own === '' ? '' : `{${own}}`;
    const beginning = `${name}_bucket{${before}le="`;
    // Build one text for all buckets, because histograms are the largest part of an answer.
    let text = '';
    let below = 0;
    for (let index = 0; index < EDGES.length; index++) {
      below += buckets[index] ?? 0;
      text += `${beginning}${EDGES[index]}"} ${below}\n`;
    }
    family.lines.push(`${text}${name}_sum${after} ${printValue(sumUs / US_PER_SECOND)}\n${name}_count${after} ${count}`);
  }

  /** Yields the lines of each metric. */
  *texts(): Generator<string> {
    for (const [name, { type, help }] of Object.entries(this.table)) {
      const lines = this.families.get(name)?.lines;
      if (lines !== undefined) yield `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n${lines.join('\n')}\n`;
    }
  }

  /** Returns null if the series must be omitted. */
  private take(name: string, labels: string, count: number): Family | null {
    let family = this.families.get(name);
    if (family === undefined) this.families.set(name, (family = { lines: [], known: new Set() }));
    if (this.series + count > this.seriesMax || family.known.has(labels)) {
      this.leftOut += count;
      return null;
    }
    this.series += count;
    family.known.add(labels);
    return family;
  }

  private labelsOf(name: string, values: readonly string[]): string {
    const names = this.table[name]?.labels ?? [];
    return names.map((label, index) => `${label}="${escapeValue(values[index] ?? '')}"`).join(',');
  }
}

function printValue(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeValue(text: string): string {
  return /[\\"\n]/.test(text) ? escapeHelp(text).replaceAll('"', '\\"') : text;
}
