// Tests `rsconfig mirror verify` from arguments to output and exit code. rsiod is a fake; the comparison itself is tested in
// packages/protocol/src/mirror/verify and, with real servers, in test/integration/mirror.test.ts.

import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import type { VerificationView } from '@rsio/api/views/mirror-views';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { VERIFY_LOOK_MS } from '../../limits.ts';
import { run } from '../../testing/rsconfig-run.ts';
import { serve, useServerVolumes } from '../../testing/server-volumes-scene.ts';

useServerVolumes();

const GIB = 1024 ** 3;
const EQUAL: VerificationView = {
  volume: 'osl:db@0',
  isRunning: false,
  stopped: null,
  waitsFor: null,
  comparedBytes: 20 * GIB,
  sizeBytes: 20 * GIB,
  differentBytes: 0,
  repairedBytes: 0,
  ranges: [],
  unreadBytes: 0,
  unread: null,
};
const DIFFERENT: VerificationView = {
  ...EQUAL,
  differentBytes: 12_288,
  ranges: [{ beginBytes: 4_096, endBytes: 12_288, servers: ['big-8'], isRepaired: false }],
};

/** Makes an rsiod for which `looks` are the answers to the queries, in order. After the last answer, every query gets that answer again. */
function daemon(looks: readonly (VerificationView | null)[], seen: unknown[] = []): Partial<ControlHandlers> {
  const left = [...looks];
  const look = () => ({ verification: (left.length > 1 ? left.shift() : left[0]) ?? null });
  return {
    'mirror-verification': look,
    'mirror-verify': (params) => {
      seen.push(params);
      return { verification: EQUAL };
    },
    'mirror-verify-stop': (params) => {
      seen.push(params);
      return { verification: EQUAL };
    },
  };
}

test('replicas that are equal', async () => {
  const seen: unknown[] = [];
  await serve([], daemon([null, EQUAL], seen));
  expect(await run('mirror verify osl:db')).toEqual({ code: 0, out: '20.0G of osl:db@0 compared: the replicas are equal\n', err: '' });
  expect(seen).toEqual([{ namespace: 'osl', name: 'db', universe: 0, repair: false, from: null }]);
});

test('what differs is listed, and the exit code is 1', async () => {
  await serve([], daemon([null, DIFFERENT]));
  expect(await run('mirror verify db')).toEqual({
    code: 1,
    out: '20.0G of osl:db@0 compared: 12.0K differ\n    bytes 4096 to 12287: big-8 differs\n    and 4.0K more\n',
    err: '',
  });
});

test('a repair is asked for with the server that is right', async () => {
  const seen: unknown[] = [];
  const ranges = DIFFERENT.ranges.map((range) => ({ ...range, endBytes: 16_384, isRepaired: true }));
  await serve([], daemon([EQUAL, { ...DIFFERENT, repairedBytes: 12_288, ranges }], seen));
  expect(await run('mirror verify db --repair --from big-9')).toMatchObject({
    code: 0,
    out: '20.0G of osl:db@0 compared: 12.0K differ, 12.0K repaired\n    bytes 4096 to 16383: big-8 differs, repaired\n',
  });
  expect(seen).toEqual([{ namespace: null, name: 'db', universe: 0, repair: true, from: 'big-9' }]);
});

test('a comparison that goes on is waited for, and one that was ended is no success', async () => {
  const seen: unknown[] = [];
  const running = { ...EQUAL, isRunning: true, comparedBytes: GIB };
  await serve([], daemon([running, { ...EQUAL, comparedBytes: GIB, stopped: 'It was stopped' }], seen));
  const { code, err } = await run('mirror verify db');
  expect({ code, err }).toEqual({ code: 1, err: 'rsconfig: osl:db@0 was not compared to the end: It was stopped\n' });
  expect(seen).toEqual([]);
});

// Regression: the command did not print the first reason for which the comparison waited, but only later changes of the reason.
test('what it waits for is told at once', async () => {
  const clock = new FakeClock();
  const waiting = { ...EQUAL, isRunning: true, waitsFor: 'Only one replica is in sync' };
  await serve([], daemon([null, waiting, EQUAL]));
  const after = clock.after.bind(clock);
  clock.after = (ms, fire) => {
    const timer = after(ms, fire);
    if (ms === VERIFY_LOOK_MS) queueMicrotask(() => clock.advance(ms));
    return timer;
  };
  expect(await run('mirror verify db', { clock })).toMatchObject({
    code: 0,
    err: 'rsconfig: osl:db@0 waits: Only one replica is in sync\n',
  });
});

test('what could not be read is told, and is no success', async () => {
  const unread = 'bytes 0 to 1048575 at big-8: I/O error';
  await serve([], daemon([null, { ...EQUAL, unreadBytes: 1_048_576, unread }]));
  expect(await run('mirror verify db')).toEqual({
    code: 1,
    out: '20.0G of osl:db@0 compared: what could be read is equal\n',
    err: `rsconfig: 1.0M could not be read and were not compared, the first ${unread}\n`,
  });
});

test('--stop ends it', async () => {
  const seen: unknown[] = [];
  await serve([], daemon([{ ...EQUAL, comparedBytes: GIB, stopped: 'It was stopped' }], seen));
  expect((await run('mirror verify db --stop')).code).toBe(1);
  expect(seen).toEqual([{ namespace: null, name: 'db', universe: 0 }]);
});

test('--json', async () => {
  await serve([], daemon([null, DIFFERENT]));
  const { code, out } = await run('mirror verify db --json');
  expect({ code, ...JSON.parse(out) }).toEqual({ code: 1, verification: DIFFERENT });
});

test.each([
  ['mirror verify db --from big-9', '--from says what to repair from'],
  ['mirror verify db --stop --repair', 'exclude each other'],
])('%s is wrong usage', async (line, message) => {
  await serve([]);
  expect(await run(line)).toMatchObject({ code: 2, err: expect.stringContaining(message) as string });
});
