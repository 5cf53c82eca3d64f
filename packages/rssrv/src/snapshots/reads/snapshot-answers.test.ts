// Tests the answers to a session with an open snapshot: the list of older snapshots, which comes in parts, and the changes since an older
// snapshot. The list and the changes are also tested as answers to ioctls. The pool has only descriptions, and the extents are invented.
// test/integration/snapshot-diff.test.ts compares real files. Rules: N4, N5.

import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { EXTENTS_PER_ANSWER_MAX, SNAPSHOTS_PER_ANSWER_MAX } from '@rsio/protocol/wire/limits';
import { CHANGE, ChangesRequest, ExtentsAnswer, IOCTL, SnapshotsAnswer, SnapshotsRequest } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { MappedExtent, RangeCalls } from '../../pools/disk/data-file.ts';
import { NO_SNAPSHOTS } from '../../pools/snapshots/snapshot-scan.ts';
import { directory, usePoolDirectory } from '../../testing/pool-directory.ts';
import { snapshotScene } from '../../testing/snapshot-scene.ts';
import { Comparisons } from './comparisons.ts';
import { COMPARISON_MAX_MS, COMPARISON_WAIT_MS } from '../limits.ts';
import { SnapshotAnswers } from './snapshot-answers.ts';
import { type SnapshotAsk, snapshotIoctl } from './snapshot-asks.ts';

usePoolDirectory();

const SHARED = 0x2000;
const KIB = 1024;

/**
 * Makes a scene with two files. Every second block of 4 KiB has different addresses in the two files. `mapping` is called before the
 * extents of a file are returned.
 */
async function scene(names: readonly string[], mapping: () => Promise<void> = async () => undefined) {
  const { snapshots, records, pools, manifest } = await snapshotScene(directory, names);
  const maps = new Map<number, number>();
  const ranges: RangeCalls = {
    cloneRange: async () => undefined,
    countExtents: async () => 0,
    mapExtents: async (descriptor, offsetBytes, lengthBytes, max) => {
      await mapping();
      const which = maps.get(descriptor) ?? maps.size % 2;
      maps.set(descriptor, which);
      const extents: MappedExtent[] = [];
      for (let at = offsetBytes - (offsetBytes % (4 * KIB)); at < offsetBytes + lengthBytes && extents.length < max; at += 4 * KIB)
        extents.push({
          offsetBytes: at,
          lengthBytes: 4 * KIB,
          physicalBytes: at + 4_096 + (at % (8 * KIB) > 0 ? which * 1e9 : 0),
          flags: SHARED,
        });
      return extents;
    },
  };
  const folder = path.join(directory, 'fast/volumes', manifest.id, 'snapshots');
  fs.mkdirSync(folder, { recursive: true });
  for (const { name } of records) fs.writeFileSync(path.join(folder, `${name}.data`), '');
  const clock = new FakeClock();
  const answers = new SnapshotAnswers(snapshots, new Comparisons(clock, ranges));
  const granted = new Set<string>();
  const askSnapshot = (ask: SnapshotAsk) => answers.answer({ isGranted: (id) => granted.has(id) }, ask);
  const ioctl = (id: string, number: number, body: Buffer) => {
    const volume = snapshots.byId(id)!;
    granted.add(id);
    return snapshotIoctl(askSnapshot, { volume, sizeBytes: volume.sizeBytes }, number, body);
  };
  const forget = (): void => pools.pools.putSnapshots('fast', manifest.id, () => NO_SNAPSHOTS);
  return { records, ioctl, clock, answers, granted, forget, snapshots, manifest };
}

test('the older snapshots are told youngest first, in parts that continue', async () => {
  const names = Array.from({ length: SNAPSHOTS_PER_ANSWER_MAX + 20 }, (_, index) => `s${index}`);
  const { records, ioctl } = await scene(names);
  const open = records[SNAPSHOTS_PER_ANSWER_MAX + 10]!;
  const told: string[] = [];
  for (let after: string | null = null, hasMore = true; hasMore; ) {
    const { status, body } = await ioctl(open.id, IOCTL.SNAPSHOTS, SnapshotsRequest.encode({ after }));
    expect(status).toBe(STATUS.OK);
    const answer = SnapshotsAnswer.decode(body as Buffer, 0, body.length);
    told.push(...answer.snapshots.map(({ name }) => name));
    after = answer.snapshots.at(-1)?.id ?? null;
    ({ hasMore } = answer);
  }
  expect(told).toEqual(names.slice(0, SNAPSHOTS_PER_ANSWER_MAX + 10).toReversed());
  expect(await ioctl(open.id, IOCTL.SNAPSHOTS, SnapshotsRequest.encode({ after: 'gone' }))).toMatchObject({
    status: STATUS.UNKNOWN_VOLUME,
  });
});

test('changes are told from the sector that was asked for, in bounded parts', async () => {
  const { records, ioctl, answers, granted, snapshots } = await scene(['monday', 'tuesday']);
  const [monday, tuesday] = records;
  const changes = (since: string, lba: number, sectors: number) =>
    ioctl(tuesday!.id, IOCTL.CHANGES, ChangesRequest.encode({ since, lba, sectors }));
  const pairs = async (...args: Parameters<typeof changes>) => {
    const { status, body } = await changes(...args);
    expect(status).toBe(STATUS.OK);
    return ExtentsAnswer.decode(body as Buffer, 0, body.length).extents;
  };
  expect(await pairs(monday!.id, 3, 20)).toEqual([5, CHANGE.UNCHANGED, 8, CHANGE.CHANGED, 7, CHANGE.UNCHANGED]);
  expect(await pairs(monday!.id, 0, 2048)).toHaveLength(2 * 256);
  expect(await pairs(tuesday!.id, 0, 2048)).toEqual([2048, CHANGE.UNCHANGED]);
  expect(EXTENTS_PER_ANSWER_MAX).toBeGreaterThan(256);
  expect(await changes(monday!.id, 1, 2048)).toMatchObject({ status: STATUS.PAST_END });
  expect(await changes('another', 0, 1)).toMatchObject({ status: STATUS.UNKNOWN_VOLUME });
  granted.clear();
  expect(await answers.answer({ isGranted: () => false }, { what: 'older-snapshots', snapshotId: tuesday!.id, after: null })).toMatchObject(
    {
      snapshotCode: 'E_UNKNOWN_SNAPSHOT',
    },
  );
  const { snapshotOf: _, ...volume } = snapshots.byId(tuesday!.id)!;
  const request = SnapshotsRequest.encode({ after: null });
  expect(await snapshotIoctl(async () => null, { volume, sizeBytes: 1 }, IOCTL.SNAPSHOTS, request)).toMatchObject({
    status: STATUS.UNSUPPORTED,
  });
});

test('a snapshot that is replaced while its file is opened is not compared', async () => {
  const { records, ioctl, forget } = await scene(['monday', 'tuesday']);
  const [monday, tuesday] = records;
  const asked = ioctl(tuesday!.id, IOCTL.CHANGES, ChangesRequest.encode({ since: monday!.id, lba: 0, sectors: 8 }));
  forget();
  expect(await asked).toMatchObject({ status: STATUS.UNKNOWN_VOLUME });
});

test('a pool that hangs is not waited for, and further comparisons are refused after a while', async () => {
  const { records, ioctl, clock } = await scene(['monday', 'tuesday'], () => new Promise(() => undefined));
  const [monday, tuesday] = records;
  const changes = () => ioctl(tuesday!.id, IOCTL.CHANGES, ChangesRequest.encode({ since: monday!.id, lba: 0, sectors: 8 }));
  const [first, second] = [changes(), changes()];
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(COMPARISON_WAIT_MS);
  expect(await second).toMatchObject({ status: STATUS.IO_ERROR, body: expect.stringContaining('wait for pool fast') });
  clock.advance(COMPARISON_MAX_MS);
  expect(await first).toMatchObject({ status: STATUS.IO_ERROR, body: expect.stringContaining('did not say within') });
});
