// Triggers around the snapshots that local commands make: the order of the programs, a refusal, a command that exits without `snapshot-end`
// or never sends it, and a daemon that stops during a snapshot. Real programs are tested in packages/common/src/triggers and in
// test/integration/freeze.test.ts.

import type { TriggerConfig } from '@rsio/common/config/schema/types';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { Triggers } from '@rsio/common/triggers/triggers';
import { beforeEach, expect, test } from 'vitest';
import { ClientSnapshots } from './client-snapshots.ts';
import { SNAPSHOT_ASKER_POLL_MS, SNAPSHOT_STOP_MS, SNAPSHOT_WHOLE_MS } from './limits.ts';

const SNAPSHOTS = [{ namespace: 'osl', name: 'db', universe: 0, snapshot: 'monday' }];
const PID = 4711;

let clock: FakeClock;
let said: Record<string, unknown>[];
/** The start time that the test reports for the process PID; undefined if the process does not exist. */
let start: string | undefined;
let failure: string | null;
let isSilent: boolean;

beforeEach(() => {
  [clock, said, start, failure, isSilent] = [new FakeClock(), [], '1', null, false];
});

function snapshotsWith(...on: TriggerConfig['on'][]): ClientSnapshots {
  const triggers = new Triggers({
    clock,
    log: { info: () => undefined, warn: () => undefined },
    daemon: 'rsiod',
    machine: () => ({ client: 'big-2' }),
    triggers: () => on.map((one) => ({ name: one, on: one, run: process.execPath, timeoutMs: 1_000, line: 1 })),
    run: (_file, input) => {
      said.push(JSON.parse(input) as Record<string, unknown>);
      if (isSilent) return new Promise(() => undefined);
      return Promise.resolve({ failure, output: '' });
    },
  });
  return new ClientSnapshots({ clock, triggers, startOf: (pid) => (pid === PID ? start : undefined) });
}

const events = (): unknown[] => said.map(({ event, isMade, error }) => (isMade === undefined ? event : [event, isMade, error]));

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

test('programs run before and after, and are told who asks for what', async () => {
  const snapshots = snapshotsWith('snapshot-before', 'snapshot-after');
  const { ticket } = await snapshots.begin({ snapshots: SNAPSHOTS, pid: PID });
  expect(events()).toEqual(['snapshot-before']);
  expect(said[0]).toMatchObject({ client: 'big-2', snapshots: [{ namespace: 'osl', volume: 'db', universe: 0, snapshot: 'monday' }] });
  expect(snapshots.end({ ticket: ticket ?? 0, error: null })).toEqual({ ended: true });
  await settled();
  expect(events()).toEqual(['snapshot-before', ['snapshot-after', true, null]]);
  expect(snapshots.end({ ticket: ticket ?? 0, error: null })).toEqual({ ended: false });
  clock.advance(SNAPSHOT_WHOLE_MS);
  await settled();
  expect(said).toHaveLength(2);
});

test('without triggers there is no ticket', async () => {
  await expect(snapshotsWith('event').begin({ snapshots: SNAPSHOTS, pid: PID })).resolves.toEqual({ ticket: null });
});

test('a program that fails refuses the snapshot, and what failed is told', async () => {
  failure = 'its exit code is 3';
  const snapshots = snapshotsWith('snapshot-before');
  await expect(snapshots.begin({ snapshots: SNAPSHOTS, pid: PID })).rejects.toMatchObject({
    code: 'E_BUSY',
    message: expect.stringContaining('see the log of rsiod'),
  });
  failure = null;
  const { ticket } = await snapshots.begin({ snapshots: SNAPSHOTS, pid: PID });
  expect(snapshots.end({ ticket: ticket ?? 0, error: 'no room' })).toEqual({ ended: true });
});

test.each([
  ['has ended', undefined],
  ['has ended, and another process has its pid', '2'],
])('an asker that %s is ended for', async (_what, next) => {
  const snapshots = snapshotsWith('snapshot-after');
  await snapshots.begin({ snapshots: SNAPSHOTS, pid: PID });
  clock.advance(SNAPSHOT_ASKER_POLL_MS);
  await settled();
  expect(said).toEqual([]);
  start = next;
  clock.advance(SNAPSHOT_ASKER_POLL_MS);
  await settled();
  expect(events()).toEqual([['snapshot-after', false, 'the command that asked for it has ended without a word']]);
});

test('an asker that cannot be seen has a time', async () => {
  const snapshots = snapshotsWith('snapshot-after');
  await snapshots.begin({ snapshots: SNAPSHOTS, pid: 1 });
  clock.advance(SNAPSHOT_WHOLE_MS - 1);
  await settled();
  expect(said).toEqual([]);
  clock.advance(SNAPSHOT_ASKER_POLL_MS);
  await settled();
  expect(events()).toEqual([['snapshot-after', false, 'the command that asked for it has not said that it has ended']]);
});

test('the next snapshot waits for the end of the one before', async () => {
  const snapshots = snapshotsWith('snapshot-before', 'snapshot-after');
  const first = await snapshots.begin({ snapshots: SNAPSHOTS, pid: PID });
  const second = snapshots.begin({ snapshots: SNAPSHOTS, pid: PID });
  await settled();
  expect(events()).toEqual(['snapshot-before']);
  snapshots.end({ ticket: first.ticket ?? 0, error: null });
  const { ticket } = await second;
  expect(ticket).not.toBe(first.ticket);
  expect(events()).toEqual(['snapshot-before', ['snapshot-after', true, null], 'snapshot-before']);
});

test('the end of rsiod ends what is open, and waits for the programs, but not for ever', async () => {
  const snapshots = snapshotsWith('snapshot-after');
  await snapshots.stop();
  await snapshots.begin({ snapshots: SNAPSHOTS, pid: PID });
  await snapshots.stop();
  expect(events()).toEqual([['snapshot-after', false, 'rsiod ends, and does not know whether it was made']]);
  isSilent = true;
  await snapshots.begin({ snapshots: SNAPSHOTS, pid: PID });
  let hasStopped = false;
  const stopped = snapshots.stop().then(() => (hasStopped = true));
  await settled();
  expect(hasStopped).toBe(false);
  clock.advance(SNAPSHOT_STOP_MS);
  await stopped;
  expect(said).toHaveLength(2);
});
