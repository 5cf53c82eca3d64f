// Shows a backup or a device as an image that keeps writes for itself: qemu-nbd writes to a temporary file, and nbdfuse shows the image as a
// file. Invariants: nothing is written to what is shown; both programs outlive the command, and end by themselves when the loop device on
// the image ends, because the FUSE mount is then detached from the tree and nothing else keeps it.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { mountTable } from '@rsio/base/daemon/mount-table';
import { startTicksOf } from '@rsio/base/daemon/process-facts';
import type { Clock } from '@rsio/base/lib/clock';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { killChild } from '@rsio/base/lib/kill-child';
import { sleep } from '@rsio/base/lib/waiting';
import type { RunProgram } from '@rsio/common/triggers/run-program';
import { LISTEN_RETRY_MS, LISTEN_WAIT_MS, MOUNT_LEAVES_MS, MOUNT_PROGRAM_MS, MOUNTS_LOOK_MS, PROGRAM_TEXT_MAX_CHARS } from '../limits.ts';
import { imageIn, type MountRecord } from './mount-records.ts';

type Server = NonNullable<MountRecord['server']>;

/** Makes the folder and shows the image in it. `node`: for qemu, with file names in `chainFolder`. */
export async function serveImage(folder: string, node: object, chainFolder: string, clock: Clock): Promise<Server> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(imageIn(folder), '', { mode: 0o600 });
  const [pidFile, logFile] = [path.join(folder, 'pid'), path.join(folder, 'log')];
  const command = ['--pidfile', pidFile, imageIn(folder), '[', 'qemu-nbd', '--snapshot', `json:${JSON.stringify(node)}`, ']'];
  const log = openSync(logFile, 'w', 0o600);
  let child: ChildProcess;
  try {
    child = spawn('nbdfuse', command, { cwd: chainFolder, detached: true, stdio: ['ignore', log, log] });
  } finally {
    closeSync(log);
  }
  child.unref();
  let failure: string | null = null;
  child.once('error', (error) => (failure = errnoName(error) === 'ENOENT' ? 'it is not installed' : error.message));
  child.once('exit', () => (failure ??= readFileSync(logFile, 'utf8').trim().slice(-PROGRAM_TEXT_MAX_CHARS) || 'it ended'));
  // nbdfuse writes its pid once the image can be read.
  for (const endMs = clock.monotonicMs() + LISTEN_WAIT_MS; !existsSync(pidFile); await sleep(clock, LISTEN_RETRY_MS)) {
    if (failure === null && clock.monotonicMs() < endMs) continue;
    killChild(child);
    throw new RsError(
      'E_SYSTEM',
      `nbdfuse cannot show the image (${failure ?? 'it is not ready in time'}): install libnbd-bin and qemu-utils (Debian), or nbdfuse and qemu-img (Fedora)`,
    );
  }
  const { pid = 0 } = child;
  return { pid, startTicks: startTicksOf(pid) ?? '' };
}

export function isRunning(server: Server | null): boolean {
  return server !== null && startTicksOf(server.pid) === server.startTicks;
}

/** Detaches the image from the tree of files: only its loop device keeps it. */
export async function hideImage(folder: string, run: RunProgram): Promise<void> {
  if (!(await mountTable()).some(({ mountPoint }) => mountPoint === imageIn(folder))) return;
  const { failure, output } = await run('umount', '', MOUNT_PROGRAM_MS, ['-i', '-l', imageIn(folder)]);
  if (failure !== null) throw new RsError('E_SYSTEM', `umount ${imageIn(folder)} failed: ${output.trim() || failure}`);
}

/** Ends the image server whose loop device has ended, and removes its folder. */
export async function endImage({ folder, server }: Pick<MountRecord, 'folder' | 'server'>, run: RunProgram, clock: Clock): Promise<void> {
  if (folder === null) return;
  await hideImage(folder, run);
  const endMs = clock.monotonicMs() + MOUNT_LEAVES_MS;
  while (isRunning(server)) {
    if (clock.monotonicMs() > endMs)
      throw new RsError('E_IN_USE', `The image server (process ${server?.pid}) does not end: see losetup -a, and end what uses its device`);
    await sleep(clock, MOUNTS_LOOK_MS);
  }
  await rm(folder, { recursive: true, force: true });
}
