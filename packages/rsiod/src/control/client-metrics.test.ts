// The metrics of rsiod about mirrors, replay logs and backups, with fake parts: the names and values of the metrics, and when a metric is
// left out. Paths, I/O and the format of the text are tested with real daemons in test/integration/metrics.test.ts.

import type { AoeGateView, BackupView, GateView } from '@rsio/api/rsiod/methods';
import type { AttachedMirrorView } from '@rsio/api/views/mirror-views';
import { progressOfResync } from '@rsio/api/views/progress';
import { quietLog } from '@rsio/base/log/log';
import { KindCounts } from '@rsio/common/metrics/kind-counts';
import { COLLECT_INTERVAL_MS } from '@rsio/common/metrics/limits';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { VolumeCounters } from '../volumes/volume-counters.ts';
import { ClientMetrics, EVENT_KINDS, type ClientMetricsPorts } from './client-metrics.ts';

const REPLICA = { isOpen: true, leftBytes: null, bytesPerSecond: null, etaMs: null } as const;
const LOG = { dataBytes: 4_096, rangeBytes: 0, usedBytes: 5_000, sizeBytes: 65_536, sinceMs: 0, flushedMs: null } as const;

class Scene {
  readonly clock = new FakeClock();
  readonly backups: BackupView[] = [];
  readonly gates: GateView[] = [];
  readonly aoeGates: AoeGateView[] = [];
  mirror: AttachedMirrorView | null = null;
  readonly metrics: ClientMetrics;

  constructor() {
    const target = { pathCount: 1, reason: '', log: LOG, waitsForSpace: false, heldBy: null };
    const counters = new VolumeCounters();
    counters.ended({ op: 'write', lengthBytes: 512 } as Parameters<VolumeCounters['ended']>[0], 0, 0.1, 0);
    const volume = {
      namespace: 'osl',
      name: 'db',
      universe: 1,
      sizeBytes: 1 << 20,
      outstanding: 0,
      waitingSinceMs: null,
      target,
      counters,
    };
    this.metrics = new ClientMetrics({
      clock: this.clock,
      log: quietLog,
      beganMs: 5_000,
      restarts: () => 2,
      others: () => Promise.resolve([]),
      record: { awaited: [] },
      works: { list: [] },
      backups: { list: this.backups },
      attachments: {
        list: [volume],
        mirrors: { of: () => (this.mirror === null ? null : { status: this.mirror, progress: progressOfResync(this.mirror) }) },
        logTotal: { bytes: 5_000, limitBytes: 1 << 20 },
        busyPoll: { polledMs: 1_500, rests: 2 },
      } as unknown as ClientMetricsPorts['attachments'],
      gates: { views: () => ({ gates: this.gates, aoe: this.aoeGates }), usedBytes: 4_096 },
      current: { sinceMs: 6_000 },
      events: new KindCounts(EVENT_KINDS),
      namespaces: { list: [] },
    });
  }

  /** Returns the lines of the metrics whose names start with `beginning`. */
  async lines(beginning: string): Promise<string[]> {
    this.clock.advance(COLLECT_INTERVAL_MS);
    const text = (await this.metrics.text()).toString();
    return text.split('\n').filter((line) => line.startsWith(beginning));
  }
}

test('a mirror shows its replicas, what waits and what is left to copy', async () => {
  const scene = new Scene();
  expect(await scene.lines('rsio_client_mirror')).toEqual([]);
  scene.mirror = {
    volume: 'osl:db@1',
    term: 7,
    waitsFor: 'A majority of its voters',
    replicas: [
      { ...REPLICA, server: 'big-9', state: 'in sync' },
      { ...REPLICA, server: 'big-8', state: 'copying', isOpen: false, leftBytes: 1_024, bytesPerSecond: 10 },
    ],
  };
  const labels = 'namespace="osl",volume="db@1"';
  expect(await scene.lines('rsio_client_mirror')).toEqual([
    `rsio_client_mirror_replicas{${labels}} 2`,
    `rsio_client_mirror_replicas_in_sync{${labels}} 1`,
    `rsio_client_mirror_waits{${labels}} 1`,
    `rsio_client_mirror_term{${labels}} 7`,
    `rsio_client_mirror_replica_in_sync{${labels},server="big-9"} 1`,
    `rsio_client_mirror_replica_in_sync{${labels},server="big-8"} 0`,
    `rsio_client_mirror_replica_connected{${labels},server="big-9"} 1`,
    `rsio_client_mirror_replica_connected{${labels},server="big-8"} 0`,
    `rsio_client_mirror_resync_left_bytes{${labels},server="big-8"} 1024`,
    `rsio_client_mirror_resync_bytes_per_second{${labels},server="big-8"} 10`,
  ]);
});

test('the replay log and the last backup have their clocks', async () => {
  const scene = new Scene();
  scene.clock.advance(3_000 - COLLECT_INTERVAL_MS - scene.clock.monotonicMs());
  expect(await scene.lines('rsio_client_volume_log_oldest')).toEqual([
    'rsio_client_volume_log_oldest_seconds{namespace="osl",volume="db@1"} 3',
  ]);
  expect(await scene.lines('rsio_client_volume_last_backup')).toEqual([]);
  scene.backups.push({ namespace: 'osl', name: 'gone', universe: 0, snapshot: 'monday', atMs: 9_000 });
  expect(await scene.lines('rsio_client_volume_last_backup')).toEqual([
    'rsio_client_volume_last_backup_timestamp_seconds{namespace="osl",volume="gone@0"} 9',
  ]);
  expect(await scene.lines('rsio_client_restarts_total')).toEqual(['rsio_client_restarts_total 2']);
});

test('a gate shows its addresses, hosts and counters', async () => {
  const scene = new Scene();
  expect(await scene.lines('rsio_client_gate')).toEqual([]);
  scene.gates.push({
    name: 'esx',
    protocol: 'nvme' as const,
    nqn: 'nqn.a',
    trouble: null,
    member: null,
    authenticates: false,
    tls: false,
    hosts: ['nqn.b'],
    volumes: [],
    addresses: ['127.0.0.1:4420', '127.0.0.2:4420'],
    listening: ['127.0.0.2:4420'],
    figures: { connections: 2, commands: 9, receivedBytes: 800, sentBytes: 700, waiting: 3, waitedMs: 1_500, refused: 4, cut: 5 },
  });
  const lines = await scene.lines('rsio_client_gate');
  expect(lines.map((line) => line.replace('rsio_client_gate_', '').replace('gate="esx"', ''))).toEqual([
    'listening{,address="127.0.0.1:4420"} 0',
    'listening{,address="127.0.0.2:4420"} 1',
    'volumes{} 0',
    'hosts{} 1',
    'connections{} 2',
    'waiting_commands{} 3',
    'waiting_seconds{} 1.5',
    'commands_total{} 9',
    'received_bytes_total{} 800',
    'sent_bytes_total{} 700',
    'refused_connections_total{} 4',
    'cut_connections_total{} 5',
    'memory_used_bytes 4096',
  ]);
});

test('a gate for AoE shows its interface, its writes and its counters', async () => {
  const scene = new Scene();
  scene.aoeGates.push({
    name: 'boot',
    interface: 'eth1',
    shelf: 7,
    writes: 'unsafe',
    mac: null,
    dataBytes: null,
    trouble: 'gone',
    hosts: ['a'],
    volumes: [],
    figures: { commands: 9, answers: 8, late: 7, dropped: 6, waiting: 5, receivedBytes: 4, sentBytes: 3, cut: 2 },
  });
  const lines = await scene.lines('rsio_client_aoe_gate');
  expect(lines.map((line) => line.replace('rsio_client_aoe_gate_', '').replace('gate="boot"', ''))).toEqual([
    'answering{,interface="eth1"} 0',
    'unsafe_writes{} 1',
    'volumes{} 0',
    'hosts{} 1',
    'waiting_commands{} 5',
    'commands_total{} 9',
    'answers_total{} 8',
    'late_writes_total{} 7',
    'dropped_commands_total{} 6',
    'cuts_total{} 2',
    'received_bytes_total{} 4',
    'sent_bytes_total{} 3',
  ]);
});
