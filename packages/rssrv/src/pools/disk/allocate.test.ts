// Tests that space for thick volumes is allocated in steps, and what happens when storage refuses, is interrupted or does not answer. stat
// is the oracle.

import fs from 'node:fs';
import path from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterAll, expect, it, vi } from 'vitest';
import { BoundedCalls } from '../../machine/bounded-calls.ts';
import { type FileCalls, fileCalls } from '../../machine/file-calls.ts';
import { temporaryDirectory } from '../../testing/backend-scene.ts';
import { ALLOCATE_STEP_BYTES } from '../limits.ts';
import { allocateLimitMs, allocateSpace } from './allocate.ts';

const MIB = 1024 ** 2;
const directory = temporaryDirectory();
const file = path.join(directory, 'data');
afterAll(() => removeFolder(directory));

/** Returns calls that answer allocations with these errnos, and the ranges that were asked for. */
function answering(...errnos: (string | null | undefined)[]) {
  const asked: [fromBytes: number, lengthBytes: number][] = [];
  const clock = new FakeClock();
  const allocate: FileCalls['allocate'] = (_descriptor, fromBytes, lengthBytes, end) => {
    asked.push([fromBytes, lengthBytes]);
    const errno = errnos.shift();
    if (errno !== undefined) setImmediate(end, errno);
  };
  return { asked, clock, bounded: new BoundedCalls(clock, { ...fileCalls(), allocate }) };
}

it('allocates the range, and changes neither content nor size', async () => {
  fs.writeFileSync(file, Buffer.alloc(MIB, 7));
  await allocateSpace(file, MIB, 3 * MIB);
  const { size, blocks } = fs.statSync(file);
  expect([size, blocks * 512]).toEqual([MIB, 3 * MIB]);
  expect(fs.readFileSync(file).equals(Buffer.alloc(MIB, 7))).toBe(true);
});

it('works in steps, repeats an interrupted one, and says which error ended it', async () => {
  const { asked, bounded } = answering(null, 'EINTR', null, 'ENOSPC');
  await expect(allocateSpace(file, 0, 3 * ALLOCATE_STEP_BYTES, bounded)).rejects.toMatchObject({ code: 'ENOSPC' });
  const [step, from] = [ALLOCATE_STEP_BYTES, [0, 1, 1, 2]];
  expect(asked).toEqual(from.map((index) => [index * step, step]));
});

it('ends in time if the storage does not answer', async () => {
  const { asked, clock, bounded } = answering(null);
  const allocated = expect(allocateSpace(file, 0, 2 * ALLOCATE_STEP_BYTES, bounded)).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  await vi.waitFor(() => expect(asked).toHaveLength(2));
  clock.advance(allocateLimitMs(2 * ALLOCATE_STEP_BYTES));
  await allocated;
});
