// Opens, in the listener, the files of volumes for workers that may not open paths. Each process gets its own open files. Storage that
// hangs occupies only a few threads of the listener, and opens on other storage do not wait. Invariants: only the file that the listener
// serves is passed on; each descriptor is passed on or closed.

import { counted } from '@rsio/base/lib/assert';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { asVolumeError, assertStorage, fstat } from '../../storage/files/opened-file.ts';
import { filesByPath } from '../../storage/files/volume-files.ts';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import { closeAll } from '../../machine/descriptor-passing.ts';
import { OPENS_MAX, OPENS_PER_DEVICE_MAX, OPENS_WAITING_MAX, OPEN_WAIT_MS } from '../../machine/limits.ts';
import { openMap } from '../../mirrors/map-file.ts';
import type { FilesAnswer } from '../../session/channel/channel.ts';

interface WaitingOpen {
  readonly device: string;
  readonly begin: () => void;
}

/** The session that asks for the files of a volume. */
interface AskingForFiles {
  readonly uses: { isGranted(volumeId: string): boolean };
  readonly workerSession: { pass(descriptors: readonly number[]): Promise<number> };
}

export class FileOpens {
  private readonly clock: Clock;
  private readonly served: (id: string) => ServedVolume | null;
  private readonly openFiles: (volume: ServedVolume) => Promise<number[]>;
  /** Maps each file system or disk to the number of opens in progress on it. */
  private readonly devices = new Map<string, number>();
  private count = 0;
  private readonly waiting: WaitingOpen[] = [];

  constructor(clock: Clock, served: (id: string) => ServedVolume | null, open = openFiles) {
    this.clock = clock;
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
    await this.turn(volume.name, device);
    try {
      return await this.openFiles(volume);
    } finally {
      this.ended(device);
    }
  }

  private turn(name: string, device: string): Promise<void> {
    if (this.isFree(device)) {
      this.begin(device);
      return Promise.resolve();
    }
    const refusal = (): RsError =>
      new RsError('E_VOLUME', `Volume ${name}: its storage, or that of many other volumes, does not answer an open: check the storage`);
    if (this.waiting.length >= OPENS_WAITING_MAX) return Promise.reject(refusal());
    return new Promise((resolve, reject) => {
      const timer = this.clock.after(OPEN_WAIT_MS, () => {
        this.waiting.splice(this.waiting.indexOf(one), 1);
        reject(refusal());
      });
      const one: WaitingOpen = {
        device,
        begin: () => {
          timer.cancel();
          this.begin(device);
          resolve();
        },
      };
      this.waiting.push(one);
    });
  }

  private isFree(device: string): boolean {
    return this.count < OPENS_MAX && (this.devices.get(device) ?? 0) < OPENS_PER_DEVICE_MAX;
  }

  private begin(device: string): void {
    this.count++;
    this.devices.set(device, (this.devices.get(device) ?? 0) + 1);
  }

  private ended(device: string): void {
    this.count = counted(this.count - 1, 'files that are being opened');
    const left = (this.devices.get(device) ?? 0) - 1;
    if (left > 0) this.devices.set(device, left);
    else this.devices.delete(device);
    const next = this.waiting.findIndex((one) => this.isFree(one.device));
    if (next >= 0) this.waiting.splice(next, 1)[0]?.begin();
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
