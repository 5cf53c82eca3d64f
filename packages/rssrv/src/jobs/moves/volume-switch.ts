// Changes the file of a volume while clients use it. The volume is not served for a moment, every server process closes the old file, and
// the clients open the volume again with the new one. Invariants: while the work runs, no request on the old file is running and none
// begins; all answered writes are in the old file, durably; if the outcome of the work is not known, the volume is not served.

import { RsError, toRsError } from '@rsio/common/lib/errors';
import { printDuration } from '@rsio/common/lib/units';
import type { Clock } from '@rsio/common/lib/clock';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import { SWITCH_CLOSE_MS } from '../limits.ts';
import { isDeepStrictEqual } from 'node:util';

export interface HandleCloser {
  /** Closes all handles of the volume. Resolves when no request on them is running, with false if writes may be lost. */
  closeHandles(volumeId: string): Promise<boolean>;
}

/** The part of the configuration in force that a switch needs. */
export interface ReplacedVolumes {
  /** The configuration with which the volume is in force; null if there is none. */
  inForceById(volumeId: string): ServerVolumeConfig | null;
  /** Serves the volume with another file, and notifies the clients. */
  replaceVolume(was: ServerVolumeConfig, now: ServerVolumeConfig): Promise<void>;
}

/** The parts of the server that a switch needs. */
export interface VolumeSwitchPorts {
  readonly clock: Clock;
  readonly volumes: {
    readonly served: readonly ServedVolume[];
    /** Stops serving the volume with this reason, in this turn of the event loop. `reason`: null to serve the volume again. */
    suspend(volumeId: string, reason: string | null): void;
    /** Makes all earlier writes durable. Throws if that fails. */
    sync(volumeId: string): Promise<void>;
  };
  readonly sessions: HandleCloser;
  inForce(): ReplacedVolumes;
  /** Announces a new list to the clients, so that even idle clients open the volume again. */
  listChanged(): void;
  incarnationOf(volume: ServedVolume): string;
  /** Starts a new incarnation of the storage, because writes to the volume may be lost. */
  incarnationEnded(volume: ServedVolume): Promise<void>;
}

/** Thrown by the work if only the disk can tell whether the volume has the new file. */
export class OutcomeUnknown extends Error {}

export class VolumeSwitch {
  private readonly ports: VolumeSwitchPorts;

  constructor(ports: VolumeSwitchPorts) {
    this.ports = ports;
  }

  /**
   * Executes the work while the volume is not served, and serves the volume with the configuration that it returns. Returns how long
   * clients had to wait, in ms. If `work` throws, the volume is served as before, except after OutcomeUnknown.
   */
  async run(id: string, reason: string, work: () => Promise<ServerVolumeConfig>): Promise<number> {
    const { ports } = this;
    const before = this.servedBy(id);
    // Sync now, so that little is left to be written back while the clients wait.
    if (before !== undefined) await this.sync(before);
    const was = ports.inForce().inForceById(id);
    const served = this.servedBy(id);
    if (was === null || served === undefined) throw new RsError('E_BUSY', 'The volume is not served now: see rsadm volume show');
    const sinceMs = ports.clock.monotonicMs();
    const incarnation = ports.incarnationOf(served);
    this.suspend(id, reason);
    let now: ServerVolumeConfig;
    try {
      await this.close(id);
      await this.sync(served);
      if (ports.incarnationOf(served) !== incarnation)
        throw new RsError(
          'E_BUSY',
          'The storage of the volume may have lost writes meanwhile, which its clients send again: try again later',
        );
      now = await work();
    } catch (thrown) {
      if (!(thrown instanceof OutcomeUnknown)) this.suspend(id, null);
      throw thrown;
    }
    await ports.inForce().replaceVolume(was, now);
    return ports.clock.monotonicMs() - sinceMs;
  }

  /** Serves the volume as its pool has it, after a switch with an unknown outcome. */
  async settle(now: ServerVolumeConfig): Promise<void> {
    const id = now.id ?? '';
    const was = this.ports.inForce().inForceById(id);
    if (was === null) return;
    if (!isDeepStrictEqual(placesOf(was), placesOf(now))) await this.ports.inForce().replaceVolume(was, now);
    else if (this.servedBy(id) === undefined) this.suspend(id, null);
  }

  /** The kernel reports the error of a sync only once. Without a new incarnation, a later take-over would not learn of lost writes. */
  private async sync(served: ServedVolume): Promise<void> {
    try {
      await this.ports.volumes.sync(served.id);
    } catch (thrown) {
      // After E_TIMEOUT, the sync continues. If it fails, it starts a new incarnation itself.
      if (toRsError(thrown).code !== 'E_TIMEOUT') await this.ports.incarnationEnded(served);
      throw thrown;
    }
  }

  private servedBy(id: string): ServedVolume | undefined {
    return this.ports.volumes.served.find((one) => one.id === id);
  }

  private suspend(id: string, reason: string | null): void {
    this.ports.volumes.suspend(id, reason);
    this.ports.listChanged();
  }

  private async close(id: string): Promise<void> {
    const { clock } = this.ports;
    const closed = this.ports.sessions.closeHandles(id);
    const isFlushed = await new Promise<boolean | null>((resolve, reject) => {
      const timer = clock.after(SWITCH_CLOSE_MS, () => resolve(null));
      closed.then(resolve, reject).finally(() => timer.cancel());
    });
    if (isFlushed === null)
      throw new RsError('E_BUSY', `The I/O in progress did not end within ${printDuration(SWITCH_CLOSE_MS)}: the storage is very busy`);
    if (!isFlushed) throw new RsError('E_BUSY', 'The storage of the volume has reported an error: check the storage');
  }
}

/** Paths of the files of a volume. */
function placesOf({ path, layout }: ServerVolumeConfig): readonly (string | null)[] {
  return layout?.parts.map((part) => part.path) ?? [path];
}
