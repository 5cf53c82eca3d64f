// What the daemon needs of every frontend. A frontend is a way for programs on this machine to use volumes: the NBD socket, or devices.
// What a frontend needs of a volume is in volumes/frontend-volume.ts. Invariant: programs reach a volume through a frontend from `show` until
// `hide` or `drop`, and without force a volume that is in use is never taken away.

import { RsError } from '@rsio/common/lib/errors';
import type { FrontendVolume, VolumeIdentity } from '../volumes/frontend-volume.ts';

/** Where programs find a volume; null: not in this form. */
export interface ShownAs {
  /** A path of a raw device. */
  readonly raw: string | null;
  /** A path of a block device, or an NBD URI. */
  readonly block: string | null;
}

export interface FrontendEvents {
  /** Users have lost data. `volume`: its devices are being taken away now; null: the loss is of an earlier process. */
  dataLost(volume: Pick<VolumeIdentity, 'namespace' | 'name' | 'universe'> | null, message: string): void;
}

export interface Frontend {
  /** True: the daemon does not end without force while a volume is in use here. */
  readonly needsUnused: boolean;
  /** Volumes that an earlier process has shown here, and that are not attached again yet. */
  readonly leftVolumes: readonly FrontendVolume[];
  /** Before any volume is shown. Throws E_ALREADY_RUNNING, E_CONFIG, E_RIGHTS, E_SOCKET_PATH, E_SYSTEM. */
  start(): Promise<void>;
  /** Shows an attached volume as the configuration wants it; does nothing when it is shown already. Throws E_IN_USE, E_RIGHTS, E_SYSTEM, E_VOLUME. */
  show(volume: FrontendVolume): Promise<void>;
  /** null: the volume is not shown here. */
  shownAs(volume: FrontendVolume): ShownAs | null;
  /** The volume has grown. */
  grown(volume: FrontendVolume): Promise<void>;
  /** The server's storage has started a new incarnation. */
  incarnationChanged(volume: FrontendVolume): void;
  /** Users of a volume, as text for people: `mount point /mnt`, `2 NBD connections to /run/rsiod/nbd`. */
  usersOf(volume: FrontendVolume): Promise<readonly string[]>;
  /** Takes a volume away. Without `force` throws E_IN_USE when it is in use; with it, its users get I/O errors. */
  hide(volume: FrontendVolume, force: boolean): Promise<void>;
  /** Takes away, by force, a volume that is not this client's any more: its I/O fails at once. */
  drop(volume: FrontendVolume): Promise<void>;
  /** Takes away what an earlier process has left of a volume, if anything. Without `force` throws E_IN_USE when it is in use. */
  release(volume: VolumeIdentity, reason: string, force: boolean): Promise<void>;
  /** Takes away, by force and within STOP_WAIT_MAX_MS, what an earlier process has left of the volumes that are not wanted. */
  releaseLeft(reason: string, isWanted: (volume: VolumeIdentity) => boolean): Promise<void>;
  /** The daemon ends: no new user comes from now on. What is attached is taken away by `hide` afterwards. */
  close(): Promise<void>;
  /** Another process continues in place of this one: no more requests are taken, and nothing is taken away. */
  handOver(): Promise<void>;
  /** After the last volume was taken away. */
  stop(): Promise<void>;
}

/** The refusal to take away a volume that is in use. */
export function inUse(users: readonly string[]): RsError {
  return new RsError('E_IN_USE', `It is in use by ${users.join(', ')}: end that first, or use --force`);
}
