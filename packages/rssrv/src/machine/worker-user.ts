// Chooses the user of workers: the key `user` of rssrvcfg, or else the user rsio if it exists. This module is pure, except that it reads
// the user file. Invariant: if the key `user` is set or a user rsio exists, workers never run as root without a warning.

import { type NamedUser, userNamed } from '@rsio/base/files/users';

export type WorkerUser = NamedUser;

/** The user of the workers if the configuration names no user. The installation packages create this user. */
export const DEFAULT_USER = 'rsio';

export interface WorkerUserFacts {
  /** Value of the key `user`; null if the key is not set. */
  readonly configured: string | null;
  /** Effective user of the listener. */
  readonly uid: number;
  /** True if the listener may start and end processes of other users. */
  readonly canSwitch: boolean;
  readonly userFile?: string;
}

export interface WorkerUserChoice {
  /** User of the workers; null if they run as the listener's user. */
  readonly user: WorkerUser | null;
  /**
   * The reason why workers have more rights than they need, and what the administrator can do; null if they have only the rights that they
   * need.
   */
  readonly warning: string | null;
}

export function chooseWorkerUser({ configured, uid, canSwitch, userFile }: WorkerUserFacts): WorkerUserChoice {
  const named = userNamed(configured ?? DEFAULT_USER, userFile);
  if (uid !== 0) {
    const warning =
      configured === null || named?.uid === uid
        ? null
        : `Server processes run as the user of rssrv, and not as ${configured}: start rssrv as root, or remove user =`;
    return { user: null, warning };
  }
  const asRoot = (remedy: string): WorkerUserChoice => ({ user: null, warning: `Server processes run as root: ${remedy}` });
  if (named === undefined) {
    const user = configured ?? DEFAULT_USER;
    return asRoot(`create the user ${user} (useradd --system ${user}) and restart rssrv`);
  }
  if (!canSwitch) return asRoot('let rssrv have the capabilities CAP_SETUID, CAP_SETGID and CAP_KILL');
  return { user: named, warning: null };
}
