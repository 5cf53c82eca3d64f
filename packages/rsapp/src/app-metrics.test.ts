// The text that Prometheus reads from rsapp. test/packaging/prometheus.test.ts tests the alerts, and app-runner.test.ts the counts.
// Invariant: each metric has the value of its figure.

import { expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { AppMetrics } from './app-metrics.ts';

test('shows each application, and the events by their kind', async () => {
  const log = { info: () => undefined, error: () => undefined };
  const app = {
    name: 'pg',
    on: 'big-2',
    sinceMs: 7_000,
    volumes: ['db'],
    nodes: ['big-2', 'big-6'],
    next: null,
    why: '',
    restarts: 3,
    failures: 4,
    moves: 1,
    failed: false,
    remains: false,
    failedNodes: 1,
    isMissing: false,
  };
  const figures = [
    { ...app, state: 'running' as const },
    { ...app, name: 'web', state: 'waiting' as const, on: null, isMissing: true, remains: true },
  ];
  const metrics = new AppMetrics({ clock: new FakeClock(), log, isDrained: () => true, node: () => 'big-2', figures: () => figures });
  metrics.events.note('application pg');
  metrics.events.note('other thing');
  const lines = (await metrics.text()).toString().split('\n');
  for (const line of [
    'rsio_app_drained 1',
    'rsio_app_events_total{kind="application"} 1',
    'rsio_app_events_total{kind="other"} 1',
    'rsio_app_application_state{application="pg",state="running",node="big-2"} 1',
    'rsio_app_application_state{application="web",state="waiting",node=""} 1',
    'rsio_app_application_here{application="pg"} 1',
    'rsio_app_application_here{application="web"} 0',
    'rsio_app_application_missing{application="web"} 1',
    'rsio_app_application_not_removed{application="web"} 1',
    'rsio_app_application_failed_nodes{application="pg"} 1',
    'rsio_app_application_since_timestamp_seconds{application="pg"} 7',
    'rsio_app_application_restarts_total{application="pg"} 3',
    'rsio_app_application_failures_total{application="pg"} 4',
    'rsio_app_application_moves_total{application="pg"} 1',
  ])
    expect(lines).toContain(line);
});
