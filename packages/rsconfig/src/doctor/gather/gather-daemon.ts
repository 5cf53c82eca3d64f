// Gathers the facts about the running daemon, the system's limits, and file systems on devices whose volume is no longer attached. The
// facts come from the control socket, /proc and /sys; a file system whose device is gone is never accessed. Invariant: no function in this
// file throws; an unknown fact is null, and an unreadable file counts as missing.

import { accessSync, constants, readdirSync, readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { EVENTS_KEPT } from '@rsio/common/control/limits';
import type { EventView } from '@rsio/common/control/method-table';
import type { MirrorSummary } from '@rsio/api/views/mirror-views';
import { pidFileHolder } from '@rsio/base/daemon/pid-file';
import { toRsError } from '@rsio/base/lib/errors';
import type { CommandContext } from '../../cli/context.ts';
import { callAt } from '../../commands/server-volumes/servers.ts';
import { DOCTOR_ANSWER_TIMEOUT_MS, DOCTOR_MIRRORS_TIMEOUT_MS } from '../../limits.ts';
import type { DaemonFacts, DoctorFacts, FileFacts, SystemFacts, VolumesFacts } from './facts.ts';

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

const NOTHING_KNOWN: VolumesFacts = { failing: [], deadMounts: [], inSharedPools: [], copies: [] };

/** Gathers the facts about volumes. If the daemon did not answer, the lists are empty, because the attached volumes are unknown. */
export async function gatherVolumes({ call, paths }: CommandContext, daemon: DaemonFacts): Promise<VolumesFacts> {
  if (daemon.view === null) return NOTHING_KNOWN;
  // Events of an earlier process are ignored, because they say nothing about the current state of the storage.
  const { startedMs } = daemon.view;
  try {
    const { events } = await call('events', { count: EVENTS_KEPT }, DOCTOR_ANSWER_TIMEOUT_MS);
    const { attachments } = await call('local', {}, DOCTOR_ANSWER_TIMEOUT_MS);
    const { namespaces } = await call('query', { refresh: false }, DOCTOR_ANSWER_TIMEOUT_MS);
    const attached = attachments.flatMap(({ rawDevice }) => rawDevice ?? []);
    return {
      failing: failingIn(events.filter(({ atMs }) => atMs >= startedMs)),
      deadMounts: deadMounts(textOfFile, paths.devDir, attached),
      inSharedPools: attachments.filter(({ sharedPool }) => sharedPool === true),
      copies: namespaces.flatMap(({ copies = [] }) => copies),
    };
  } catch {
    return NOTHING_KNOWN;
  }
}

/** Returns the mirrors; null if the daemon does not answer or belongs to an older release without mirrors. */
export async function gatherMirrors({ call }: CommandContext, { view }: DaemonFacts): Promise<readonly MirrorSummary[] | null> {
  if (view === null || !view.methods.includes('mirrors')) return null;
  try {
    return (await call('mirrors', { namespace: null }, DOCTOR_MIRRORS_TIMEOUT_MS)).mirrors;
  } catch {
    return null;
  }
}

export async function gatherGates({ call }: CommandContext, { view }: DaemonFacts): Promise<Pick<DoctorFacts, 'gates' | 'aoeGates'>> {
  if (view === null || !view.methods.includes('gates')) return { gates: [], aoeGates: [] };
  try {
    const { gates, aoe = [] } = await call('gates', {}, DOCTOR_ANSWER_TIMEOUT_MS);
    return { gates, aoeGates: aoe };
  } catch {
    return { gates: [], aoeGates: [] };
  }
}

/** Without a section [application NAME], nothing is asked. */
export async function gatherApplications({ callApp, paths }: CommandContext, file: FileFacts): Promise<DoctorFacts['applications']> {
  if ((file.config?.applications ?? []).length === 0) return { answer: null, enabledUnits: [] };
  const answer = await callApp('applications', {}).catch(() => null);
  return { answer, enabledUnits: enabledUnits(`${paths.root}/etc/systemd/system`) };
}

function enabledUnits(folder: string): string[] {
  return namesIn(folder)
    .filter((name) => name.endsWith('.wants') || name.endsWith('.requires'))
    .flatMap((name) => namesIn(join(folder, name)));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

export async function gatherBackups({ call }: CommandContext, { view }: DaemonFacts): Promise<DoctorFacts['backups']> {
  if (view === null || !view.methods.includes('backups')) return [];
  try {
    return (await call('backups', {}, DOCTOR_ANSWER_TIMEOUT_MS)).backups;
  } catch {
    return [];
  }
}

/** Returns the servers; an empty list if the daemon does not answer. */
export async function gatherServers(context: CommandContext, { view }: DaemonFacts): Promise<DoctorFacts['servers']> {
  if (view === null) return [];
  try {
    const { namespaces } = await context.call('query', { refresh: false }, DOCTOR_ANSWER_TIMEOUT_MS);
    return await Promise.all(
      namespaces.flatMap(({ name: namespace, servers }) =>
        servers.map(async (server) => {
          const place = { namespace, server: server.name };
          // A server that does not answer, refuses to or has an earlier release shows nothing.
          const [daemonOf, copies, space, file] = await Promise.all([
            callAt(context, place, 'daemon', {}, DOCTOR_ANSWER_TIMEOUT_MS).catch(() => null),
            callAt(context, place, 'replication-list', {}, DOCTOR_ANSWER_TIMEOUT_MS).catch(() => null),
            callAt(context, place, 'pool-list', {}, DOCTOR_ANSWER_TIMEOUT_MS).catch(() => null),
            callAt(context, place, 'namespace-show', {}, DOCTOR_ANSWER_TIMEOUT_MS).catch(() => null),
          ]);
          return {
            ...server,
            sharesVolumes: daemonOf?.sharesVolumes === true,
            replications: copies?.replications ?? [],
            pools: space?.pools ?? [],
            file,
          };
        }),
      ),
    );
  } catch {
    return [];
  }
}

/** Returns the volumes whose storage is failing according to their last storage event. */
function failingIn(events: readonly EventView[]): VolumesFacts['failing'] {
  const last = new Map<string, EventView>();
  for (const event of events) {
    if (!event.object.startsWith('volume ')) continue;
    if (event.to === 'failing') last.set(event.object, event);
    else if (event.from === 'failing' || event.to === 'lost') last.delete(event.object);
  }
  return [...last.values()].map(({ object, atMs, reason }) => ({ volume: object, sinceMs: atMs, reason }));
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

export interface DeadMount {
  readonly mountPoint: string;
  readonly device: string;
}

const LOOP = /^\/dev\/(loop\d+)$/;

/** `file` returns the text of a file below /proc or /sys; null if the file is unreadable. */
export function deadMounts(file: (path: string) => string | null, devDir: string, attached: readonly string[]): DeadMount[] {
  const mounts = (file('/proc/self/mountinfo') ?? '').split('\n').flatMap((line) => {
    const words = line.split(' ');
    const source = words[words.indexOf('-', 6) + 2];
    const mountPoint = words[4];
    return source === undefined || mountPoint === undefined ? [] : [{ mountPoint: unescaped(mountPoint), device: source }];
  });
  return mounts.filter(({ device }) => {
    const loop = LOOP.exec(device)?.[1];
    const backing = loop === undefined ? null : file(`/sys/block/${loop}/loop/backing_file`);
    if (backing === null) return false;
    // After a raw device has been removed, the kernel shows `/` as the backing file of the loop device above it. The raw device is then the
    // root of a separate file system.
    if (backing === '/') return true;
    const place = backing.replace(/ \(deleted\)$/, '');
    return place.startsWith(`${devDir}/av`) && (place !== backing || !attached.includes(place));
  });
}

export function textOfFile(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}

/** Decodes the octal escapes, such as `\040` for a space, that the kernel uses in mountinfo. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
