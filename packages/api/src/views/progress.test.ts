// Tests the one form of progress: each kind of work has it, what is not known is null, and the texts have the figures.

import { expect, test } from 'vitest';
import { job, replication } from '../testing/server-views.ts';
import type { AttachedMirrorView, VerificationView } from './mirror-views.ts';
import {
  amounts,
  leftText,
  percentOf,
  progressByKind,
  progressLine,
  progressOfJob,
  progressOfReplication,
  progressOfResync,
  progressOfServer,
  progressOfVerification,
  progressTable,
  progressText,
} from './progress.ts';
import { misfit } from '@rsio/base/lib/shape';
import { JOB_WORKS, PROGRESS, type Progress, WORKS } from './views.ts';

const [KIB, GIB] = [1024, 1024 ** 3];

function mirror(replica: Partial<AttachedMirrorView['replicas'][number]>, waitsFor: string | null = null): AttachedMirrorView {
  const whole = {
    server: 'pi-2',
    state: 'copying',
    isOpen: true,
    leftBytes: 600,
    copiedBytes: 400,
    bytesPerSecond: 100,
    etaMs: 6_000,
  } as const;
  const inSync = {
    ...whole,
    server: 'pi-1',
    state: 'in sync',
    leftBytes: null,
    copiedBytes: null,
    bytesPerSecond: null,
    etaMs: null,
  } as const;
  return { volume: 'osl:db@0', term: 3, waitsFor, replicas: [inSync, { ...whole, ...replica }] };
}

function verification(changes: Partial<VerificationView>): VerificationView {
  const amount = { comparedBytes: 250, sizeBytes: 1_000, bytesPerSecond: 50, differentBytes: 0, repairedBytes: 0, unreadBytes: 0 };
  return { volume: 'osl:db@0', isRunning: true, stopped: null, waitsFor: null, ...amount, ranges: [], unread: null, ...changes };
}

const SHOWN: readonly (readonly [what: string, progress: Progress | null | undefined, text: string])[] = [
  ...JOB_WORKS.map(
    (work) =>
      [
        `a job that does ${work}`,
        progressOfJob(job({ work, bytesPerSecond: GIB })),
        `${work} oracle@0 [##########----------] 50 %, 10.0G of 20.0G, 1.0G/s, 10 s left`,
      ] as const,
  ),
  [
    'a job that waits for its turn',
    progressOfJob(job({ state: 'waiting', doneBytes: 0, totalBytes: 0 })),
    'move oracle@0 nothing done yet, waits for its turn',
  ],
  [
    'a job that is cancelled',
    progressOfJob(job({ state: 'cancelling' })),
    'move oracle@0 [##########----------] 50 %, 10.0G of 20.0G, is being cancelled',
  ],
  ['a job that has ended', progressOfJob(job({ state: 'done', endedMs: 1 })), ''],
  [
    'a replication that copies',
    progressOfReplication(replication({ state: 'copying', doneBytes: 10 * KIB, totalBytes: 100 * KIB, bytesPerSecond: KIB })),
    'replication oracle@0 [##------------------] 10 %, 10.0K of 100.0K, 1.0K/s, 90 s left',
  ],
  [
    'a replication of an older server, which says no rate',
    progressOfReplication(replication({ state: 'copying', doneBytes: 512, totalBytes: 1_024 })),
    'replication oracle@0 [##########----------] 50 %, 512 of 1.0K',
  ],
  [
    'a replication that fails in the middle',
    progressOfReplication(replication({ state: 'failing', text: 'a path to it', doneBytes: 512, totalBytes: 1_024, bytesPerSecond: 9 })),
    'replication oracle@0 [##########----------] 50 %, 512 of 1.0K, waits for a path to it',
  ],
  ['a replication that waits for its next moment', progressOfReplication(replication()), ''],
  ['a resync', progressOfResync(mirror({}))[0], 'resync osl:db@0 [########------------] 40 %, 400 of 1000, 100/s, 6 s left'],
  [
    'a replica whose server is away',
    progressOfResync(mirror({ state: 'behind', leftBytes: null, copiedBytes: null }))[0],
    'resync osl:db@0 nothing done yet, waits for server pi-2',
  ],
  ['a comparison', progressOfVerification(verification({})), 'verify osl:db@0 [#####---------------] 25 %, 250 of 1000, 50/s, 15 s left'],
  [
    'a comparison that waits',
    progressOfVerification(verification({ waitsFor: 'Only one replica is in sync', bytesPerSecond: 0 })),
    'verify osl:db@0 [#####---------------] 25 %, 250 of 1000, waits for Only one replica is in sync',
  ],
  ['a comparison that has ended', progressOfVerification(verification({ isRunning: false })), ''],
];

test.each(SHOWN)('%s', (_, progress, text) => {
  expect(progress === null || progress === undefined ? '' : progressLine(progress)).toBe(text);
});

test('only what lasts is listed', () => {
  const jobs = [job(), job({ id: '8', state: 'failed', endedMs: 5 })];
  expect(progressOfServer(jobs, [replication(), replication({ state: 'copying' })]).map(({ id }) => id)).toEqual([
    'job 7',
    'replication r',
  ]);
  expect(progressOfVerification(null)).toBeNull();
});

test.each([
  ['nothing is known', [0, null, 0], [null, null, null]],
  ['a whole of 0 is not known', [0, 0, 5], [null, null, null]],
  ['no rate, no time', [10, 20, 0], [20, null, 50]],
  ['more is done than was expected', [30, 20, 5], [30, 0, 100]],
] as const)('%s', (_, [done, total, rate], [whole, leftMs, percent]) => {
  const known = amounts(done, total, rate);
  expect([known.totalBytes, known.leftMs, percentOf(known)]).toEqual([whole, leftMs, percent]);
});

test('times that are left', () => {
  expect([0, 99_000, 100_000, 5_999_000, 6_000_000, 170_000_000, 200_000_000].map(leftText)).toEqual([
    ...['0 s', '99 s', '2 min', '100 min', '1.7 h', '47.2 h', '2.3 d'],
  ]);
});

test('the table has the place of each work', () => {
  const works = [progressOfJob(job({ bytesPerSecond: GIB }))!, progressOfVerification(verification({}))!];
  expect(progressTable(works, ['big-9', 'here'])).toBe(
    [
      'AT     WORK    VOLUME    FROM AND TO           DONE        BYTES    RATE  LEFT  WAITS FOR',
      'big-9  move    oracle@0  from fast to slow      50%  10.0G/20.0G  1.0G/s  10 s  -',
      'here   verify  osl:db@0  the replicas in sync   25%     250/1000    50/s  15 s  -',
      '',
    ].join('\n'),
  );
  expect(progressText({ ...works[0]!, totalBytes: null })).toBe('10.0G done, 1.0G/s, 10 s left');
});

test.each(WORKS)('%s has the same figures in the table, in JSON and in the metrics', (kind) => {
  const work: Progress = { ...progressOfVerification(verification({}))!, kind };
  expect(misfit(PROGRESS, JSON.parse(JSON.stringify(work)), 'exactly')).toBeNull();
  expect(progressTable([work], null).split('\n')[1]).toMatch(new RegExp(`^${kind} +osl:db@0 .* 25% +250/1000 +50/s +15 s`));
  const waiting: Progress = { ...work, state: 'waiting', totalBytes: null };
  expect(progressByKind([work, waiting], [kind])).toEqual([{ kind, works: 2, waiting: 1, doneBytes: 500, sizeBytes: 1_000 }]);
});
