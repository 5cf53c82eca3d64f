// Changes the file of a volume while clients use the volume, which is briefly not served. Every worker closes the old file; then the
// clients open the volume again and get the new file. Invariants: while the work runs, no request on the old file is running or begins, and
// all answered writes are durable in the old file; if the outcome of the work is not known, the volume is not served. Rules: C5.

import { within } from '@rsio/base/lib/waiting';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import type { Clock } from '@rsio/base/lib/clock';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import { SWITCH_CLOSE_MS } from '../limits.ts';
import { isDeepStrictEqual } from 'node:util';
import type { GrantPorts } from '../../volumes/holds/holds.ts';
import type { Volumes } from '../../volumes/volumes.ts';

export interface HandleCloser {
  /** Closes all handles of the volume. Resolves when no request on these handles is running. The result is false if writes may be lost. */
  closeHandles(volumeId: string): Promise<boolean>;
}

/** The part of the configuration in force that a switch needs. */
export interface ReplacedVolumes {
  /** Returns the configuration in force of the volume with this id; null if no volume in force has the id. */
  inForceById(volumeId: string): ServerVolumeConfig | null;
  /** Serves the volume with another file, and notifies the clients. */
  replaceVolume(was: ServerVolumeConfig, now: ServerVolumeConfig): Promise<void>;
}

/** The parts of the server that a switch needs. */
export interface VolumeSwitchPorts extends Pick<GrantPorts, 'disputedMs' | 'incarnationEnded'> {
  readonly clock: Clock;
  readonly volumes: Pick<Volumes, 'served' | 'suspend' | 'sync'>;
  readonly sessions: HandleCloser;
  inForce(): ReplacedVolumes;
  /** Announces a new list to the clients, so that even idle clients open the volume again. */
  listChanged(): void;
  incarnationOf(volume: ServedVolume): string;
}

/**
 * The work throws this error if it cannot know whether the volume has the new file. Only the state on disk can show whether the volume has
 * the new file.
 */
export class OutcomeUnknown extends Error {}

export class VolumeSwitch {
  private readonly ports: VolumeSwitchPorts;

  constructor(ports: VolumeSwitchPorts) {
    this.ports = ports;
  }

  /**
   * For how long an earlier owner of the volume's pool may still answer requests, in ms. The volume must not change its pool in this time,
   * because the next holder, in the other pool, would not wait for these answers (H2).
   */
  disputedMs(id: string): number {
    const served = this.servedBy(id);
    return served === undefined ? 0 : (this.ports.disputedMs(served) ?? 0);
  }

  /**
   * Executes `work` while the volume is not served, and then serves the volume with the configuration that `work` returns. Returns how long
   * clients had to wait, in ms. If `work` throws, the volume is served from the old file again, unless the error is OutcomeUnknown.
   */
  async run(id: string, reason: string, work: () => Promise<ServerVolumeConfig>): Promise<number> {
    const { ports } = this;
    const before = this.servedBy(id);
    // Sync now, so that little is left to be written back while the clients wait.
    if (before !== undefined) await this.sync(before);
    const was = ports.inForce().inForceById(id);
    const served = this.servedBy(id);
    if (was === null || served === undefined) throw new RsError('E_BUSY', 'The volume is not served now: see rsadm volume show');
    if (ports.disputedMs(served) !== 0)
      throw new RsError('E_BUSY', 'The pool of the volume was taken over a moment ago, or has another owner: try again later');
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
      else ports.volumes.suspend(id, `${reason}, until its pools say which file it has: see rsadm jobs`, false);
      throw thrown;
    }
    await ports.inForce().replaceVolume(was, now);
    return ports.clock.monotonicMs() - sinceMs;
  }

  /** Called after a switch with an unknown outcome, when the state on disk is known. Serves the volume with the file that its pool has. */
  async settle(now: ServerVolumeConfig): Promise<void> {
    const id = now.id ?? '';
    const was = this.ports.inForce().inForceById(id);
    if (was === null) return;
    if (!isDeepStrictEqual(placesOf(was), placesOf(now))) await this.ports.inForce().replaceVolume(was, now);
    else if (this.servedBy(id) === undefined) this.suspend(id, null);
  }

  /**
   * Syncs the volume. If the sync fails, starts a new incarnation, because the kernel reports the error only once, and a later take-over
   * would otherwise not learn of lost writes.
   */
  private async sync(served: ServedVolume): Promise<void> {
    try {
      await this.ports.volumes.sync(served.id);
    } catch (thrown) {
      // After E_TIMEOUT, the sync continues, and a later failure of the sync also starts a new incarnation.
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
    const isFlushed = await within(clock, SWITCH_CLOSE_MS, closed, () => null);
    if (isFlushed === null)
      throw new RsError('E_BUSY', `The I/O in progress did not end within ${printDuration(SWITCH_CLOSE_MS)}: the storage is very busy`);
    if (!isFlushed) throw new RsError('E_BUSY', 'The storage of the volume has reported an error: check the storage');
  }
}

/** Returns the paths of the files of a volume. */
function placesOf({ path, layout }: ServerVolumeConfig): readonly (string | null)[] {
  return layout?.parts.map((part) => part.path) ?? [path];
}
