// Tests what counts as a user of a device. Mounts and stacked devices count if one walk through /proc finds them; a process counts only if
// several walks find it. The walk itself is tested with real devices in test/integration/block-devices.test.ts.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { needPrograms } from '@rsio/base/testing/needs';
import { expect, test } from 'vitest';
import { deviceUsers, lastingUsers } from './device-users.ts';
import { DEVICE_USERS_AGAIN_MS, DEVICE_USERS_LOOKS_MAX } from '../limits.ts';

/** `looks`: the result of each look at the machine; all further looks get the last result. Returns the users and the number of looks. */
async function usersAfter(looks: readonly { readonly lasting?: string[]; readonly processes?: string[] }[]) {
  const clock = new FakeClock();
  let count = 0;
  const found = lastingUsers(async () => ({ lasting: [], processes: [], ...looks[Math.min(count++, looks.length - 1)] }), clock);
  for (let turn = 0; turn < 20; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(DEVICE_USERS_AGAIN_MS);
  }
  return { ...(await found), looks: count };
}

test('a process that only looks at the device is no user', async () => {
  expect(await usersAfter([{ processes: ['losetup'] }, {}])).toEqual({ lasting: [], processes: [], looks: 2 });
  const oneAfterTheOther = ['a', 'b', 'c'].map((name) => ({ processes: [name] }));
  expect(await usersAfter(oneAfterTheOther)).toMatchObject({ processes: [], looks: 2 });
});

test('a process that stays is a user, also beside others that end', async () => {
  const found = await usersAfter([{ processes: ['dd', 'blkid'] }, { processes: ['dd', 'udev'] }, { processes: ['dd'] }]);
  expect(found).toEqual({ lasting: [], processes: ['dd'], looks: DEVICE_USERS_LOOKS_MAX });
});

test('a mount point is told at once, also one that comes meanwhile; an unused device needs one look', async () => {
  expect(await usersAfter([{ lasting: ['/mnt'], processes: ['dd'] }])).toEqual({ lasting: ['/mnt'], processes: ['dd'], looks: 1 });
  expect(await usersAfter([{ processes: ['mount'] }, { lasting: ['/mnt'] }])).toEqual({ lasting: ['/mnt'], processes: [], looks: 2 });
  expect(await usersAfter([{}])).toMatchObject({ looks: 1 });
});

// Regression: the raw device of another rsiod, in a container with the same path, made its user a user of this one.
test('a process with a file of the same path in a mount namespace of its own is no user, and one with the file itself is', async (context) => {
  needPrograms(context, 'mount', 'unshare');
  const folder = mkdtempSync(join(tmpdir(), 'rsio-users-'));
  const inner = join(folder, 'inner');
  const file = join(inner, 'db.raw');
  mkdirSync(inner);
  writeFileSync(file, 'x');
  const processes: ChildProcess[] = [];
  const opened = async (script: string, said: string): Promise<number> => {
    const child = spawn('unshare', ['-m', 'sh', '-ec', `${script}; exec 3< ${file}; touch ${said}; exec sleep 60`], { stdio: 'ignore' });
    processes.push(child);
    for (let left = 200; left > 0 && !existsSync(said); left--) await new Promise((resolve) => void setTimeout(resolve, 50));
    return child.exitCode === null && existsSync(said) ? child.pid! : 0;
  };
  try {
    const same = await opened('true', join(folder, 'same'));
    const other = await opened(`mount -t tmpfs none ${inner}; touch ${file}`, join(folder, 'other'));
    context.skip(same === 0 || other === 0, 'needs root, to mount a small file system');
    expect(await deviceUsers({ rawFile: file, loop: null }, systemClock)).toEqual([`process ${same} (sleep)`]);
  } finally {
    for (const child of processes) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
});
