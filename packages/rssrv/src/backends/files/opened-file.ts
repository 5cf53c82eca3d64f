// Opens what a volume stands on and makes the file backend of it. What differs between files, devices and memory comes in as
// a Kind; errors name volume and path and leave nothing open.

import type { BigIntStats } from 'node:fs';
import fs from 'node:fs';
import { promisify } from 'node:util';
import { errnoName, errnoRemedy, RsError } from '@rsio/common/lib/errors';
import type { ServedVolume } from '../common/served-volume.ts';
import { FileBackend } from './file-backend.ts';
import type { InlinePolicy } from '../common/pace.ts';
import type { BackendPorts } from './backend-ports.ts';
import { storageName } from './storage-name.ts';

export interface FileKind {
  readonly type: 'file' | 'block' | 'memory';
  readonly inline: InlinePolicy | null;
  /** Nothing has to be synced: no O_DSYNC descriptor, and a flush does nothing. */
  readonly isVolatile: boolean;
  /** Size of the opened file in bytes, and whether it is known to make holes; throws an RsError when it is not of this kind. */
  readonly inspect: (stats: BigIntStats) => { readonly sizeBytes: number; readonly canPunch: boolean | 'probe' };
}

const { O_RDONLY, O_RDWR, O_DSYNC } = fs.constants;
const open = promisify(fs.open);
const close = promisify(fs.close);

function fstat(descriptor: number): Promise<BigIntStats> {
  return new Promise((resolve, reject) => {
    fs.fstat(descriptor, { bigint: true }, (error, stats) => (error === null ? resolve(stats) : reject(error)));
  });
}

/**
 * Opens `volume.path` as the given kind. Throws E_VOLUME: it cannot be opened, is another file than the listener's, of another kind, or
 * shorter than the volume (then reads past its end would fail one by one).
 */
export async function openFile(volume: ServedVolume, kind: FileKind, ports: BackendPorts): Promise<FileBackend> {
  const { path } = volume;
  if (path === null) throw new RsError('E_INTERNAL', `Volume ${volume.name} of type ${volume.type} has no path`);
  const opened: number[] = [];
  try {
    const descriptor = await open(path, volume.readonly ? O_RDONLY : O_RDWR);
    opened.push(descriptor);
    const stats = await fstat(descriptor);
    if (volume.storage !== undefined && storageName(stats) !== volume.storage) throw replaced(volume.name, path);
    const { sizeBytes, canPunch } = kind.inspect(stats);
    if (sizeBytes < volume.sizeBytes) {
      throw new RsError(
        'E_VOLUME',
        `Volume ${volume.name} has ${volume.sizeBytes} bytes but ${path} only ${sizeBytes}: it was cut while rssrv served it, restore it`,
        { volume: volume.name, path, isCut: true },
      );
    }
    let syncedDescriptor: number | null = null;
    if (!volume.readonly && !kind.isVolatile) {
      syncedDescriptor = await open(path, O_RDWR | O_DSYNC);
      opened.push(syncedDescriptor);
      await assertSame(volume.name, path, descriptor, syncedDescriptor);
    }
    const range = await ports.helper.attach(descriptor, !volume.readonly, canPunch);
    return new FileBackend(
      {
        type: kind.type,
        descriptor,
        syncedDescriptor,
        sizeBytes: volume.sizeBytes,
        readonly: volume.readonly,
        inline: kind.inline,
        range,
      },
      ports.onError,
    );
  } catch (thrown) {
    for (const descriptor of opened) await close(descriptor);
    throw asVolumeError(volume.name, path, thrown);
  }
}

/** Two descriptors opened by name one after the other must be of one file, or FUA writes would go elsewhere. */
async function assertSame(name: string, path: string, first: number, second: number): Promise<void> {
  const [a, b] = await Promise.all([fstat(first), fstat(second)]);
  if (a.dev === b.dev && a.ino === b.ino) return;
  throw new RsError('E_VOLUME', `${path} of volume ${name} was replaced while it was being opened: try again`, { volume: name, path });
}

/** Neither its content nor its lock is that of the volume. */
function replaced(name: string, path: string): RsError {
  return new RsError(
    'E_VOLUME',
    `Volume ${name}: ${path} was replaced by another file while rssrv served it: put the first one back, or restart rssrv`,
    { volume: name, path },
  );
}

function asVolumeError(name: string, path: string, thrown: unknown): unknown {
  const errno = errnoName(thrown);
  if (thrown instanceof RsError || errno === undefined) return thrown;
  return new RsError(
    'E_VOLUME',
    `${path} of volume ${name} cannot be opened (${errno}): ${errnoRemedy(errno) ?? 'see that it is there and that rssrv may use it'}`,
    { volume: name, path, errno },
    thrown,
  );
}
