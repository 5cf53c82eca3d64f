// Tests the text in the format of Prometheus, character by character: order, escaping, histograms, and the bound on the number of series.
// promtool checks the texts of real daemons in test/integration/metrics.test.ts.

import { expect, test } from 'vitest';
import { LATENCY_BUCKETS, NO_LATENCY } from '@rsio/base/structures/latency-figures';
import { Exposition } from './exposition.ts';
import { counter, gauge, histogram } from './metric-table.ts';

const TABLE = {
  rsio_up: gauge('Is it up'),
  rsio_bytes_total: counter('Bytes, "all" of them\nand \\ more', 'volume'),
  rsio_latency_seconds: histogram('How long', 'volume', 'operation'),
} as const;

function exposition(seriesMax = 1_000): Exposition<typeof TABLE> {
  return new Exposition(TABLE, seriesMax);
}

function textOf(one: Exposition<typeof TABLE>): string {
  return [...one.texts()].join('');
}

test('series stand in the order of the table, whatever the order in which they come, and texts are escaped', () => {
  const one = exposition();
  one.add('rsio_bytes_total', 5, 'a"b\\c\nd');
  one.add('rsio_up', true);
  one.add('rsio_bytes_total', 2 ** 52, 'ordinary');
  expect(textOf(one)).toBe(`# HELP rsio_up Is it up
# TYPE rsio_up gauge
rsio_up 1
# HELP rsio_bytes_total Bytes, "all" of them\\nand \\\\ more
# TYPE rsio_bytes_total counter
rsio_bytes_total{volume="a\\"b\\\\c\\nd"} 5
rsio_bytes_total{volume="ordinary"} 4503599627370496
`);
});

test('what is unknown is absent, and so is a metric without series', () => {
  const one = exposition();
  one.add('rsio_up', null);
  one.addLatency('rsio_latency_seconds', NO_LATENCY, 'oracle', 'read');
  expect(textOf(one)).toBe('');
});

test('a histogram counts upwards, with its sum in seconds', () => {
  const one = exposition();
  const buckets = new Array<number>(LATENCY_BUCKETS).fill(0);
  [buckets[0], buckets[2], buckets[LATENCY_BUCKETS - 1]] = [3, 2, 1];
  one.addLatency('rsio_latency_seconds', { ...NO_LATENCY, sumUs: 2_500_000, buckets }, 'oracle', 'read');
  const lines = textOf(one).split('\n');
  const labels = 'volume="oracle",operation="read"';
  expect(lines.slice(2, 6)).toEqual([
    `rsio_latency_seconds_bucket{${labels},le="0.000064"} 3`,
    `rsio_latency_seconds_bucket{${labels},le="0.000128"} 3`,
    `rsio_latency_seconds_bucket{${labels},le="0.000256"} 5`,
    `rsio_latency_seconds_bucket{${labels},le="0.000512"} 5`,
  ]);
  expect(lines.slice(-5, -1)).toEqual([
    `rsio_latency_seconds_bucket{${labels},le="16.777216"} 5`,
    `rsio_latency_seconds_bucket{${labels},le="+Inf"} 6`,
    `rsio_latency_seconds_sum{${labels}} 2.5`,
    `rsio_latency_seconds_count{${labels}} 6`,
  ]);
});

test('series beyond the bound are left out and counted, a histogram as a whole', () => {
  const one = exposition(2);
  for (const volume of ['a', 'b', 'c']) one.add('rsio_bytes_total', 1, volume);
  one.addLatency('rsio_latency_seconds', { ...NO_LATENCY, buckets: new Array<number>(LATENCY_BUCKETS).fill(1) }, 'a', 'read');
  expect(textOf(one).match(/^rsio_/gm)).toHaveLength(2);
  expect(one.leftOut).toBe(1 + LATENCY_BUCKETS + 2);
});

// A reader refuses the whole text if it contains the same series twice.
test('the same series is never there twice', () => {
  const one = exposition();
  one.add('rsio_bytes_total', 1, 'oracle');
  one.add('rsio_bytes_total', 2, 'oracle');
  expect(textOf(one).match(/^rsio_bytes_total/gm)).toHaveLength(1);
  expect(one.leftOut).toBe(1);
});
