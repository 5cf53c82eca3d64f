// Opens, in the listener, the files of volumes for workers that may not open paths. Each process gets its own open files. Storage that
// hangs occupies only a few threads of the listener, and opens on other storage do not wait. Invariants: only the file that the listener
// serves is passed on; each descriptor is passed on or closed.

import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { asVolumeError, assertStorage, fstat } from '../../storage/files/opened-file.ts';
import { filesByPath } from '../../storage/files/volume-files.ts';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import { closeAll } from '../../machine/descriptor-passing.ts';
import { DeviceTurns } from '../../machine/device-turns.ts';
import { OPENS_MAX, OPENS_PER_DEVICE_MAX, OPENS_WAITING_MAX, OPEN_WAIT_MS } from '../../machine/limits.ts';
import { openMap } from '../../mirrors/map-file.ts';
import type { FilesAnswer } from '../../session/channel/channel.ts';

/** The session that asks for the files of a volume. */
interface AskingForFiles {
  readonly uses: { isGranted(volumeId: string): boolean };
  readonly workerSession: { pass(descriptors: readonly number[]): Promise<number> };
}

export class FileOpens {
  private readonly served: (id: string) => ServedVolume | null;
  private readonly openFiles: (volume: ServedVolume) => Promise<number[]>;
  private readonly turns: DeviceTurns;

  constructor(clock: Clock, served: (id: string) => ServedVolume | null, open = openFiles) {
    this.turns = new DeviceTurns(clock, {
      total: OPENS_MAX,
      perDevice: OPENS_PER_DEVICE_MAX,
      waiting: OPENS_WAITING_MAX,
      waitMs: OPEN_WAIT_MS,
    });
    this.served = served;
    this.openFiles = open;
  }

  /** Opens the files of a volume that was granted to the session, and passes their descriptors to the worker. */
  async answer({ uses, workerSession }: AskingForFiles, volumeId: string): Promise<FilesAnswer> {
    try {
      const volume = this.served(volumeId);
      if (volume === null || !uses.isGranted(volumeId))
        throw new RsError('E_VOLUME', `Volume ${volume?.name ?? volumeId} is not open to this session any more: open it again`);
      const descriptors = await this.open(volume);
      return { filesTag: await workerSession.pass(descriptors), perFile: perFile(volume) };
    } catch (thrown) {
      const { code, message } = toRsError(thrown);
      return { filesCode: code, sentence: message };
    }
  }

  /** Opens all files of a volume, like a worker that may open paths itself. The caller closes the descriptors. Throws E_VOLUME. */
  async open(volume: ServedVolume): Promise<number[]> {
    const device = deviceOf(volume);
    if (!(await this.turns.begin(device)))
      throw new RsError(
        'E_VOLUME',
        `Volume ${volume.name}: its storage, or that of many other volumes, does not answer an open: check the storage`,
      );
    try {
      return await this.openFiles(volume);
    } finally {
      this.turns.ended(device);
    }
  }
}

/**
 * Returns the number of descriptors for each file of a volume. If a file has two descriptors, the second descriptor is for synchronous
 * writes.
 */
export function perFile({ readonly, type }: Pick<ServedVolume, 'readonly' | 'type'>): 1 | 2 {
  return readonly || type === 'memory' ? 1 : 2;
}

/** Extracts the file system or disk from the name of a volume's storage (storage-identity.ts). */
function deviceOf({ storage, layout }: ServedVolume): string {
  const name = layout?.parts[0]?.storage ?? storage ?? '';
  return name.startsWith('file ') ? name.slice(0, name.lastIndexOf(':')) : name;
}

async function openFiles(volume: ServedVolume): Promise<number[]> {
  const files = volume.layout?.parts ?? [volume];
  const opened: number[] = [];
  for (const { path, storage } of files) {
    try {
      if (path === null) throw new RsError('E_INTERNAL', `Volume ${volume.name} of type ${volume.type} has no path`);
      const { readonly } = volume;
      const { descriptor, synced } = await filesByPath.open({ path, readonly, isVolatile: volume.type === 'memory' });
      const both = [descriptor, ...(synced === null ? [] : [synced])];
      opened.push(...both);
      const expected = storage === undefined ? { name: volume.name } : { name: volume.name, storage };
      for (const one of both) assertStorage(expected, path, await fstat(one));
    } catch (thrown) {
      closeAll(opened);
      throw asVolumeError(volume.name, path ?? '', thrown);
    }
  }
  const { replica, name } = volume;
  if (replica === undefined) return opened;
  try {
    return [...opened, await openMap(replica)];
  } catch (thrown) {
    closeAll(opened);
    throw asVolumeError(name, replica.mapPath, thrown);
  }
}
