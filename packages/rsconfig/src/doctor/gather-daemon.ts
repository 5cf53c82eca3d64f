// What doctor knows of the running daemon and of what the system allows it: asked over its control socket, and read under /proc and /sys.
// Invariant: nothing here throws; what cannot be found out is null.

import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { toRsError } from '@rsio/protocol/lib/errors';
import { pidFileHolder } from '@rsio/protocol/lib/pid-file';
import { DOCTOR_ANSWER_TIMEOUT_MS } from '@rsio/protocol/limits';
import type { CommandContext } from '../commands/command-context.ts';
import type { DaemonFacts, SystemFacts } from './facts.ts';

const NBD_PROGRAMS = ['nbd-client', 'nbdcopy', 'nbdinfo', 'qemu-img', 'qemu-nbd', 'fio'];
const ELSEWHERE = ['/usr/sbin', '/sbin', '/usr/local/sbin'];

export async function gatherDaemon({ call, paths }: CommandContext): Promise<DaemonFacts> {
  const facts = {
    socket: paths.controlSocket,
    nbdSocket: paths.nbdSocket,
    socketMode: modeOf(paths.controlSocket),
    isNbdSocketThere: modeOf(paths.nbdSocket) !== null,
    livePid: pidFileHolder(paths.pidFile),
  };
  try {
    const view = await call('daemon', {}, DOCTOR_ANSWER_TIMEOUT_MS);
    const status = await call('status', {}, DOCTOR_ANSWER_TIMEOUT_MS);
    const openFilesMax = openFilesOf(view.pid);
    return { ...facts, trouble: null, view, status, openFilesMax };
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    return { ...facts, trouble: { code, message }, view: null, status: null, openFilesMax: null };
  }
}

export function gatherSystem(): SystemFacts {
  const scaling = textOf('/proc/sys/net/ipv4/tcp_window_scaling');
  return {
    programs: NBD_PROGRAMS.filter(isInstalled),
    hasKernelNbd: modeOf('/dev/nbd0') !== null,
    sendBufferMaxBytes: thirdNumberOf('/proc/sys/net/ipv4/tcp_wmem'),
    receiveBufferMaxBytes: thirdNumberOf('/proc/sys/net/ipv4/tcp_rmem'),
    windowScaling: scaling === null ? null : scaling === '1',
  };
}

function modeOf(path: string): number | null {
  try {
    return statSync(path).mode & 0o7777;
  } catch {
    return null;
  }
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}

function thirdNumberOf(path: string): number | null {
  const third = textOf(path)?.split(/\s+/)[2];
  return third === undefined || !/^\d+$/.test(third) ? null : Number(third);
}

/** The soft limit; null: unlimited, or not known. */
function openFilesOf(pid: number): number | null {
  const soft = /^Max open files\s+(\d+)/m.exec(textOf(`/proc/${pid}/limits`) ?? '')?.[1];
  return soft === undefined ? null : Number(soft);
}

function isInstalled(program: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''), ...ELSEWHERE];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
