// What the daemon needs from every frontend. A frontend is a way for programs on this machine to use volumes: the NBD socket, or devices.
// What a frontend needs from a volume is in volumes/frontend-volume.ts. Invariant: programs reach a volume through a frontend from `show`
// until `hide` or `drop`, and a volume that is in use is never taken away without force.

import { RsError } from '@rsio/common/lib/errors';
import type { FrontendVolume, VolumeIdentity } from '../volumes/frontend-volume.ts';

/** Where programs find a volume. A field is null if the volume is not available in that form. */
export interface ShownAs {
  /** The path of the raw device. */
  readonly raw: string | null;
  /** The path of the block device, or an NBD URI. */
  readonly block: string | null;
}

export interface FrontendEvents {
  /** Users have lost data. `volume` is the volume whose devices are being removed, or null if an earlier process caused the loss. */
  dataLost(volume: Pick<VolumeIdentity, 'namespace' | 'name' | 'universe'> | null, message: string): void;
}

export interface Frontend {
  /** True if the daemon refuses to stop without force while a volume is in use in this frontend. */
  readonly needsUnused: boolean;
  /** Volumes that an earlier process has shown in this frontend and that have not been reattached yet. */
  readonly leftVolumes: readonly FrontendVolume[];
  /** Called before any volume is shown. Throws E_ALREADY_RUNNING, E_CONFIG, E_RIGHTS, E_SOCKET_PATH, E_SYSTEM. */
  start(): Promise<void>;
  /**
   * Shows an attached volume in the form that the configuration wants. Does nothing when the volume is already shown. Throws E_IN_USE,
   * E_RIGHTS, E_SYSTEM, E_VOLUME.
   */
  show(volume: FrontendVolume): Promise<void>;
  /** Where programs find the volume; null if this frontend does not show it. */
  shownAs(volume: FrontendVolume): ShownAs | null;
  /** Called when the volume has grown. */
  grown(volume: FrontendVolume): Promise<void>;
  /** Called when the server's storage has started a new incarnation. */
  incarnationChanged(volume: FrontendVolume): void;
  /** Human-readable list of a volume's users: `mount point /mnt`, `2 NBD connections to /run/rsiod/nbd`. */
  usersOf(volume: FrontendVolume): Promise<readonly string[]>;
  /**
   * Takes a volume away from programs. Without `force`, throws E_IN_USE if the volume is in use. With `force`, its users get I/O errors.
   */
  hide(volume: FrontendVolume, force: boolean): Promise<void>;
  /** Forcibly takes away a volume that this client no longer holds. The volume's I/O fails at once. */
  drop(volume: FrontendVolume): Promise<void>;
  /**
   * Removes the devices that an earlier process has left for a volume, if there are any. Without `force`, throws E_IN_USE if they are in
   * use.
   */
  release(volume: VolumeIdentity, reason: string, force: boolean): Promise<void>;
  /** Forcibly removes, within STOP_WAIT_MAX_MS, the devices that an earlier process has left for unwanted volumes. */
  releaseLeft(reason: string, isWanted: (volume: VolumeIdentity) => boolean): Promise<void>;
  /** Called when the daemon is about to exit: admits no new users from now on. Attached volumes are hidden afterwards by `hide`. */
  close(): Promise<void>;
  /** Called when another process is about to replace this one: stops taking requests, and removes nothing. */
  handOver(): Promise<void>;
  /** Called after the last volume has been taken away. */
  stop(): Promise<void>;
}

/** Returns the error for a volume that is not taken away because it is in use. */
export function inUse(users: readonly string[]): RsError {
  return new RsError('E_IN_USE', `It is in use by ${users.join(', ')}: end that first, or use --force`);
}
