// Tests the statistics that the listener makes from the reports of sessions: rates, age, sessions that do not answer, and the reason of
// each wait. session-figures.test.ts tests the counting in a session.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { NO_LATENCY } from '@rsio/base/structures/latency-figures';
import { expect, test } from 'vitest';
import { NOTHING_HELD } from '../throttle/throttle-messages.ts';
import type { SessionFigures, VolumeFigures } from './volume-counters.ts';
import { FIGURES_WAIT_MS } from '../limits.ts';
import { StatsBook } from './stats-book.ts';
import { statsView } from './stats-views.ts';

const LATENCY = { ...NO_LATENCY, p50Us: 1, p99Us: 2, p999Us: 3, maxUs: 4 };

function volume(changes: Partial<VolumeFigures> = {}): VolumeFigures {
  return {
    volumeId: 'a',
    reads: 0,
    readBytes: 0,
    writes: 0,
    writtenBytes: 0,
    flushes: 0,
    discards: 0,
    zeroes: 0,
    errors: 0,
    readLatency: LATENCY,
    writeLatency: LATENCY,
    flushLatency: LATENCY,
    outstanding: 0,
    oldestMs: 0,
    waitingForSpace: 0,
    heldForSnapshot: 0,
    heldMs: 0,
    ...NOTHING_HELD,
    ...changes,
  };
}

class Scene {
  readonly clock = new FakeClock();
  asked: string[] = ['s1'];
  readonly book = new StatsBook(this.clock, () => this.asked);

  report(volumes: readonly VolumeFigures[], more: Partial<SessionFigures> = {}): void {
    this.book.received('s1', { volumes, paths: [], opens: [], ...more });
  }

  view(blockedMs: number | null = null): ReturnType<typeof statsView> {
    const session = { node: 'big-2', address: '10.0.0.2', beganMs: 5, blockedMs, record: this.book.of('s1') };
    const [monotonicMs, wallMs] = [this.clock.monotonicMs(), this.clock.wallMs()];
    return statsView([session], { monotonicMs, wallMs, nameOf: (id) => `${id}@0`, heldBy: (_node, _id, by) => by });
  }

  rates(): readonly (number | undefined)[] {
    const [one] = this.view().sessions[0]?.volumes ?? [];
    return [one?.readsPerSecond, one?.readBytesPerSecond];
  }
}

test('rates are measured against an earlier report, and an idle volume has none', () => {
  const scene = new Scene();
  scene.report([volume()]);
  expect(scene.rates()).toEqual([0, 0]);
  scene.clock.advance(2_000);
  scene.report([volume({ reads: 200, readBytes: 8_000 })]);
  expect(scene.rates()).toEqual([100, 4_000]);
  scene.clock.advance(10);
  scene.report([volume({ reads: 201, readBytes: 8_040 })]);
  expect(scene.rates()[0], 'a report that follows at once does not shorten the measurement').toBeCloseTo(100, 0);
  scene.clock.advance(2_000);
  scene.report([]);
  scene.clock.advance(2_000);
  scene.report([]);
  expect(scene.rates()).toEqual([0, 0]);
});

test('counters that begin again make no negative rate', () => {
  const scene = new Scene();
  scene.report([volume({ reads: 1_000, readBytes: 1_000_000 })]);
  scene.clock.advance(2_000);
  scene.report([volume({ reads: 1, readBytes: 4_096 })]);
  expect(scene.rates()).toEqual([0, 0]);
});

test('a client with two sessions is shown once, with the sums of a volume that has moved', () => {
  const scene = new Scene();
  scene.report([volume({ reads: 10, readLatency: { ...LATENCY, sumUs: 5, buckets: [1, 2] } }), volume({ volumeId: 'b', writes: 1 })]);
  const book = new StatsBook(scene.clock, () => []);
  const path = { interface: 'if0', address: '10.0.0.2', sinceMs: 1, requests: 3, cipher: null };
  const moved = volume({ reads: 7, heldMs: 2, readLatency: { ...LATENCY, maxUs: 9, sumUs: 6, buckets: [0, 4] } });
  book.received('s2', { volumes: [moved], paths: [path], opens: [] });
  const common = { node: 'big-2', address: '10.0.0.2' };
  const sessions = [
    { ...common, beganMs: 5, blockedMs: 6_000, record: scene.book.of('s1') },
    { ...common, beganMs: 8, blockedMs: 9_000, record: book.of('s2') },
    { ...common, node: 'mars', beganMs: 1, blockedMs: null, record: null },
  ];
  const view = statsView(sessions, { monotonicMs: 0, wallMs: 0, nameOf: (id) => `${id}@0`, heldBy: () => null });
  expect(view.sessions).toMatchObject([
    {
      client: 'big-2',
      sinceMs: 8,
      isBlocked: true,
      paths: [path],
      volumes: [
        { volume: 'a@0', reads: 17, heldMs: 2, readLatency: { maxUs: 9, sumUs: 11, buckets: [1, 6] } },
        { volume: 'b@0', writes: 1 },
      ],
    },
    { client: 'mars' },
  ]);
  expect(view.waits).toEqual([{ client: 'big-2', volume: '-', why: 'storage', heldBy: null, requests: 0, sinceMs: -9_000 }]);
});

test('what a session leaves out of a report is idle', () => {
  const scene = new Scene();
  scene.report([volume({ outstanding: 2, oldestMs: 9_000 })]);
  expect(scene.view().waits).toHaveLength(1);
  scene.report([]);
  expect(scene.view().waits).toEqual([]);
  expect(scene.view().sessions[0]?.volumes).toMatchObject([{ volume: 'a@0', outstanding: 0 }]);
});

test('each wait has its reason and its beginning', () => {
  const scene = new Scene();
  const wallMs = scene.clock.wallMs();
  scene.report(
    [
      volume({ outstanding: 3, oldestMs: 12_000, waitingForSpace: 2 }),
      volume({ volumeId: 'b', outstanding: 1, oldestMs: 6_000 }),
      volume({ volumeId: 'fast', outstanding: 1, oldestMs: 100, heldForSnapshot: 1 }),
      volume({ volumeId: 'held', outstanding: 5, oldestMs: 7_000, heldForSnapshot: 4 }),
    ],
    { opens: [{ name: 'db', universe: 1, waitedMs: 4_000 }] },
  );
  expect(scene.view().waits).toEqual([
    { client: 'big-2', volume: 'a@0', why: 'space', heldBy: null, requests: 2, sinceMs: wallMs - 12_000 },
    { client: 'big-2', volume: 'b@0', why: 'storage', heldBy: null, requests: 1, sinceMs: wallMs - 6_000 },
    { client: 'big-2', volume: 'held@0', why: 'snapshot', heldBy: null, requests: 4, sinceMs: wallMs - 7_000 },
    { client: 'big-2', volume: 'db@1', why: 'hold', heldBy: null, requests: 1, sinceMs: wallMs - 4_000 },
  ]);
});

test('a process that hangs is shown with the age of its figures, and what it had in the storage waits', () => {
  const scene = new Scene();
  scene.report([volume({ outstanding: 1, oldestMs: 100 })]);
  scene.clock.advance(9_000);
  const { sessions, waits } = scene.view(8_000);
  expect(sessions).toMatchObject([{ client: 'big-2', ageMs: 9_000, isBlocked: true }]);
  expect(waits.map(({ volume: name, why }) => `${name} ${why}`)).toEqual(['a@0 storage', '- storage']);
});

test('a session that does not answer delays a reader for a bounded time, and one that has ended not at all', async () => {
  const scene = new Scene();
  scene.asked = [];
  await scene.book.refresh();
  scene.asked = ['s1', 's2'];
  let isOver = false;
  const silent = scene.book.refresh().then(() => (isOver = true));
  scene.report([volume()]);
  await Promise.resolve();
  expect(isOver).toBe(false);
  scene.clock.advance(FIGURES_WAIT_MS);
  await silent;
  const ended = scene.book.refresh();
  scene.report([volume()]);
  scene.book.sessionEnded('s2');
  await ended;
  scene.book.sessionEnded('s1');
  expect(scene.view().sessions).toMatchObject([{ ageMs: null, volumes: [], paths: [] }]);
});
