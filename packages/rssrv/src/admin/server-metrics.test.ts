// Tests the metrics of replications: one series for each volume and direction, and absent figures. shared-pools.test.ts has the metrics of
// pools, and test/packaging/prometheus.test.ts compares the table of metrics with its documents.

import type { ReplicationView } from '@rsio/api/views/views';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { replication } from '@rsio/api/testing/server-views';
import { expect, test } from 'vitest';
import { ServerMetrics, type ServerMetricsPorts } from './server-metrics.ts';

async function metricsOf(replications: readonly ReplicationView[]): Promise<string[]> {
  const server = {
    clock: new FakeClock(),
    log: { info: () => undefined },
    farms: { list: [] },
    peers: { states: [] },
    sessions: () => [],
    configuredMs: () => 0,
    statistics: () => Promise.resolve({ sessions: [], waits: [] }),
    workers: { pids: [] },
    config: () => ({ interfaces: [], clients: [], volumes: [] }),
  };
  const ports = { server, pools: { states: [] }, jobs: { views: [] }, startedMs: 0, replications: () => replications };
  const text = (await new ServerMetrics(ports as unknown as ServerMetricsPorts).text()).toString();
  return text.split('\n').filter((line) => line.startsWith('rsio_server_replication_'));
}

test('each volume of a replication has its age, interval and backlog, and whether it fails', async () => {
  const volumes = ['db', 'log'].map((name) => ({ name, universe: 0 }));
  const lines = await metricsOf([replication({ volumes, doneBytes: 10, totalBytes: 50 })]);
  const series = (volume: string): string => `{replication="r",volume="${volume}",peer="big-8",direction="out"}`;
  expect(lines.toSorted()).toEqual(
    ['db@0', 'log@0']
      .flatMap((volume) => [
        `rsio_server_replication_age_seconds${series(volume)} 12`,
        `rsio_server_replication_interval_seconds${series(volume)} 300`,
        `rsio_server_replication_backlog_bytes${series(volume)} 40`,
        `rsio_server_replication_failing${series(volume)} 0`,
      ])
      .toSorted(),
  );
});

test('a replication without a moment has no age, and one that fails or whose other server is absent counts as failing', async () => {
  const without = await metricsOf([replication({ ageMs: null, everyMs: 0, direction: 'in' })]);
  expect(without.filter((line) => /age_seconds|interval_seconds/.test(line))).toEqual([]);
  expect(without.every((line) => line.includes('direction="in"'))).toBe(true);
  for (const [state, value] of [
    ['failing', 1],
    ['absent', 1],
    ['copying', 0],
    ['ended', 0],
  ] as const)
    expect((await metricsOf([replication({ state })])).find((line) => line.includes('_failing'))).toMatch(new RegExp(` ${value}$`));
});
