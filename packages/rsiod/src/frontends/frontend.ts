// The interface that the daemon needs from every frontend. A frontend gives programs on this machine access to volumes, either through the
// NBD socket or through devices. Invariants: programs can use a volume from the call to `show` until `hide` or `drop`; a volume in use is
// never taken away without force.

import { RsError } from '@rsio/base/lib/errors';
import type { Audience, FrontendVolume, VolumeIdentity } from '../volumes/frontend-volume.ts';

/** Where programs find a volume. A field is null if the volume has no device of that kind. */
export interface ShownAs {
  readonly raw: string | null;
  /** The path of the block device, or an NBD URI. */
  readonly block: string | null;
}

export interface Frontend {
  /** True if the daemon refuses to stop without force while programs use a volume through this frontend. */
  readonly needsUnused: boolean;
  /** Who uses volumes through this frontend, which shows no other volumes. The default is programs and gates. */
  readonly audience?: readonly Audience[];
  /** Volumes that an earlier process offered through this frontend, and that have not been attached again yet. */
  readonly leftVolumes: readonly FrontendVolume[];
  /** Called before any volume is shown. Throws E_ALREADY_RUNNING, E_CONFIG, E_RIGHTS, E_SOCKET_PATH, E_SYSTEM. */
  start(): Promise<void>;
  /**
   * Shows an attached volume in the form that the configuration requests. Does nothing if the volume is already shown. Throws E_IN_USE,
   * E_RIGHTS, E_SYSTEM, E_VOLUME.
   */
  show(volume: FrontendVolume): Promise<void>;
  /** Returns where programs find the volume; null if this frontend does not show the volume. */
  shownAs(volume: FrontendVolume): ShownAs | null;
  grown(volume: FrontendVolume): Promise<void>;
  /** Called when the server's storage has started a new incarnation. */
  incarnationChanged(volume: FrontendVolume): void;
  /** Human-readable list of a volume's users, for example `mount point /mnt` or `2 NBD connections to /run/rsiod/nbd`. */
  usersOf(volume: FrontendVolume): Promise<readonly string[]>;
  /**
   * Returns why the users of a volume would get errors if another process replaced this one; null if they would not. A frontend whose users
   * reconnect does not have this method.
   */
  lackAtRestart?(volume: FrontendVolume): Promise<string | null>;
  /**
   * Makes a volume unavailable to programs. Without `force`, throws E_IN_USE if the volume is in use. With `force`, programs that use the
   * volume get I/O errors.
   */
  hide(volume: FrontendVolume, force: boolean): Promise<void>;
  /** Forcibly takes a volume away from its users, because this client no longer holds the volume. The volume's I/O fails at once. */
  drop(volume: FrontendVolume): Promise<void>;
  /**
   * Removes the devices, if any, that an earlier process has left for a volume. Without `force`, throws E_IN_USE if these devices are in
   * use.
   */
  release(volume: VolumeIdentity, reason: string, force: boolean): Promise<void>;
  /** Forcibly removes the devices that an earlier process has left for volumes that `isWanted` rejects. Waits at most STOP_WAIT_MAX_MS. */
  releaseLeft(reason: string, isWanted: (volume: VolumeIdentity) => boolean): Promise<void>;
  /** Ends the connections of the volume's users, whose I/O is refused. A frontend whose users have no connections does not have this method. */
  cut?(volume: FrontendVolume): void;
  /** Called when the daemon is about to exit. The frontend then admits no new users. */
  close(): Promise<void>;
  /** Stops taking requests but removes nothing, because another process is about to replace the daemon's process. */
  handOver(): Promise<void>;
  /** Called after all volumes have been hidden. */
  stop(): Promise<void>;
}

/** Returns the error for a volume that cannot be taken away because programs use the volume. */
export function inUse(users: readonly string[]): RsError {
  return new RsError('E_IN_USE', `It is in use by ${users.join(', ')}: end that first, or use --force`);
}
