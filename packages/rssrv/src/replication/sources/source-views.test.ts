// Tests what a source shows of its replications: the state by the last report, the silence of the other server, ages, and the bound of the
// reports that it remembers.

import type { ReplicationReport } from '@rsio/api/rssrv/replication-methods';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import type { Replication } from '../../pools/source-marks.ts';
import { REPLICATION_SILENT_MS, REPORT_TEXT_MAX_CHARS } from '../limits.ts';
import { SourceReports } from './source-views.ts';

function replication(clock: FakeClock, agoMs: number | null = 20_000): Replication {
  const confirmed = agoMs === null ? null : { group: 'g', momentMs: clock.wallMs() - agoMs };
  const order = { to: 'big-8', pool: 'fast', everyMs: 60_000, keep: 3, limitBytes: null, createdMs: 1, confirmed };
  const found = { manifest: { id: 'v', name: 'db', universe: 0 } } as unknown as Replication['home'];
  return { id: 'r', order, home: found, memberIds: ['v'], members: [found] };
}

function report(changes: Partial<ReplicationReport> = {}): ReplicationReport {
  return { replication: 'r', state: 'copying', text: 'copies volume db', doneBytes: 10, totalBytes: 40, ...changes };
}

function scene() {
  const clock = new FakeClock();
  const reports = new SourceReports(clock);
  reports.follow(new Set(['r']));
  const state = (): string => {
    const view = reports.view(replication(clock), null);
    return `${view.state}: ${view.text}`;
  };
  return { clock, reports, state };
}

test('the view has the settings, the age of the confirmed moment, and when the next one is due', () => {
  const { clock, reports } = scene();
  reports.polled(['r'], [report()]);
  expect(reports.view(replication(clock), null)).toEqual({
    id: 'r',
    direction: 'out',
    peer: 'big-8',
    pool: 'fast',
    volumes: [{ name: 'db', universe: 0 }],
    everyMs: 60_000,
    keep: 3,
    limitBytes: null,
    state: 'copying',
    text: 'copies volume db',
    doneBytes: 10,
    totalBytes: 40,
    bytesPerSecond: 0,
    momentMs: clock.wallMs() - 20_000,
    ageMs: 20_000,
    nextMs: clock.wallMs() + 40_000,
  });
  expect(reports.view(replication(clock, null), null)).toMatchObject({ momentMs: null, ageMs: null, nextMs: null });
  expect(reports.view(replication(clock, -5_000), null).ageMs, 'a clock that was set back').toBe(0);
});

test('the other server is absent once it has not polled for a time, also after a start of this server', () => {
  const { clock, reports, state } = scene();
  expect(state()).toBe('waiting: waits for the first report of big-8');
  clock.advance(REPLICATION_SILENT_MS - 1);
  expect(state()).toBe('waiting: waits for the first report of big-8');
  clock.advance(1);
  expect(state()).toMatch(/^absent: Client big-8 has not asked for its orders for 30s: check that rssrv runs on big-8, .*section \[peer\]/);
  reports.polled(['r'], [report({ state: 'waiting', text: '' })]);
  expect(state()).toBe('waiting: ');
  clock.advance(REPLICATION_SILENT_MS - 1);
  reports.polled(['r'], []);
  clock.advance(1_000);
  expect(state(), 'a poll without a report keeps the last one').toBe('waiting: ');
  clock.advance(REPLICATION_SILENT_MS);
  expect(state()).toMatch(/^absent: /);
});

test('what prevents moments at the source counts before all reports', () => {
  const { clock, reports } = scene();
  reports.polled(['r'], [report()]);
  const problem = { text: 'Pool fast cannot be used', forClient: 'x' };
  expect(reports.view(replication(clock), problem)).toMatchObject({ state: 'failing', text: 'Pool fast cannot be used' });
});

test('an interrupted hand-over is shown with both ways out, and one that goes on by itself is no failure', () => {
  const { clock, reports } = scene();
  reports.polled(['r'], [report({ state: 'waiting', text: '' })]);
  const handed = (group: string | null) => {
    const one = replication(clock);
    const handOver = { replication: 'x', server: 'big-8', node: 'n', group };
    const found = {
      manifest: { ...one.home.manifest, replication: { id: 'r', members: ['v'], order: null, handOver } },
    } as unknown as Replication['home'];
    return reports.view({ ...one, home: found, members: [found] }, null);
  };
  const { state, text } = handed(null);
  expect(state).toBe('failing');
  expect(text).toContain(
    'volume reverse --cancel at big-8 gives it up, or keep the volumes here (rsadm volume replicate db --end --force)',
  );
  expect(handed('g')).toMatchObject({ state: 'handing-over', text: '' });
  reports.polled(['r'], [report({ state: 'promoted' })]);
  expect(handed('g'), 'a command has promoted the followers').toMatchObject({
    state: 'closed',
    text: expect.stringContaining('rsadm volume replicate db --end --force'),
  });
  reports.polled(['r'], [report()]);
  expect(handed('g').state, 'with its progress').toBe('copying');
});

test('reports about other replications are not kept, and those of ended ones are forgotten', () => {
  const { reports, state } = scene();
  reports.polled(['other'], [report({ replication: 'other' }), report()]);
  expect(state(), 'only a client that may report about it').toBe('waiting: waits for the first report of big-8');
  reports.polled(['r'], [report({ text: 'x'.repeat(REPORT_TEXT_MAX_CHARS + 1) })]);
  expect(state()).toBe(`copying: ${'x'.repeat(REPORT_TEXT_MAX_CHARS)}`);
  reports.follow(new Set());
  reports.follow(new Set(['r']));
  expect(state()).toBe('waiting: waits for the first report of big-8');
});
