// The storage client of one generation of a pool on Ceph: a daemon that has the image open, and, after `open`, a loop device over the file
// that the daemon exports. Invariant: the device appears only when the daemon's client knows all earlier fences.

import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import type { StorageClient } from '../engine.ts';
import { awaited } from './device-programs.ts';
import { attachLoop, detachLoops, loopBytes, refreshLoop } from './exported-loop.ts';
import { clearFolder, exportedIn, type RbdDaemon } from './rbd-daemon.ts';
import type { ImageFacts } from './rbd-facts.ts';

export interface RbdClientPorts {
  readonly clock: Clock;
  readonly folder: string;
  readonly daemon: Pick<RbdDaemon, 'address' | 'epoch' | 'export' | 'grow' | 'hasEnded' | 'kill' | 'quit'>;
  /** Size of the image before the daemon opened it. */
  readonly bytes: number;
  /** Reads facts about the image. Throws E_STORAGE if the image cannot be used. */
  readonly facts: () => Promise<ImageFacts>;
}

export class RbdClient implements StorageClient {
  private readonly ports: RbdClientPorts;
  private device: string | null = null;

  constructor(ports: RbdClientPorts) {
    this.ports = ports;
  }

  get name(): string {
    return this.ports.daemon.address;
  }

  get hasEnded(): boolean {
    return this.ports.daemon.hasEnded;
  }

  async open(): Promise<string> {
    const { clock, daemon, facts } = this.ports;
    // An OSD refuses a fenced client once the OSD has a map with the fence. Each I/O of this daemon carries the version of the daemon's
    // map, and an OSD gets that map before it executes the I/O. Once the daemon has this map, a fenced client can therefore no longer
    // change anything that the daemon has read or written.
    const { epoch, bytes } = await facts();
    if ((await awaited(clock, async () => ((await daemon.epoch()) >= epoch ? true : null))) === null)
      throw new RsError('E_STORAGE', `Storage client ${this.name} does not get map ${epoch} of the cluster: check "ceph -s"`, { epoch });
    // An earlier owner may have grown the image since the daemon opened it.
    if (bytes !== this.ports.bytes) await daemon.grow(bytes);
    this.device = await attachLoop(clock, await daemon.export());
    return this.device;
  }

  async grow(): Promise<number> {
    const { clock, daemon, facts } = this.ports;
    const { device } = this;
    if (device === null) throw new RsError('E_INTERNAL', 'grow before open');
    const { bytes } = await facts();
    if (bytes <= loopBytes(device)) return loopBytes(device);
    await daemon.grow(bytes);
    // The kernel caches the size of the exported file for a second.
    await awaited(clock, async () => ((await refreshLoop(clock, device)) >= bytes ? true : null));
    return loopBytes(device);
  }

  cut(): Promise<void> {
    return this.ports.daemon.kill();
  }

  async close(): Promise<void> {
    const { clock, daemon, folder } = this.ports;
    // The daemon must still answer while the kernel detaches the device.
    await detachLoops(clock, exportedIn(folder));
    await daemon.quit();
    await clearFolder(clock, folder);
  }
}
