// Names the processes that keep the device or the mount of a shared pool busy, for error messages. A copy of a mount in another mount
// namespace keeps the file system alive after an unmount, and no other list shows it. Invariant: only /proc is read, because an access to
// the files themselves may hang with their storage.

import { readdir, readFile, readlink } from 'node:fs/promises';
import { mountTable } from '@rsio/base/daemon/mount-table';
import { escapeControls } from '@rsio/base/lib/printable';
import { DEVICE_USERS_MAX } from './limits.ts';

/**
 * Returns the users as the end of a sentence, such as `; process 71 (sleep) has a copy of its mount`; empty if none is found. At most
 * DEVICE_USERS_MAX are named. `device`: number of the device, such as `7:3`; null if it is not known. `path`: the device or the mount
 * point; null to look only for copies of the mount.
 */
export async function deviceUsers(device: string | null, path: string | null): Promise<string> {
  const own = await readlink('/proc/self/ns/mnt').catch(() => '');
  const users: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || users.length === DEVICE_USERS_MAX) continue;
    const what = (await hasCopy(pid, own, device)) ? 'has a copy of its mount' : await opened(pid, path);
    if (what === null) continue;
    const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
    users.push(`process ${pid} (${escapeControls(name.trim())}) ${what}`);
  }
  return users.map((user) => `; ${user}`).join('');
}

async function hasCopy(pid: string, own: string, device: string | null): Promise<boolean> {
  const namespace = await readlink(`/proc/${pid}/ns/mnt`).catch(() => own);
  if (namespace === own || device === null) return false;
  return (await mountTable(pid).catch(() => [])).some((mount) => mount.device === device);
}

/**
 * Returns a text about a file or folder at or below `path` that the process has open, or that is its working directory; null if there is
 * none.
 */
async function opened(pid: string, path: string | null): Promise<string | null> {
  if (path === null) return null;
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const link of ['cwd', ...descriptors.map((descriptor) => `fd/${descriptor}`)]) {
    const target = await readlink(`/proc/${pid}/${link}`).catch(() => '');
    if (target === path || target.startsWith(`${path}/`)) return `uses ${escapeControls(target)}`;
  }
  return null;
}
