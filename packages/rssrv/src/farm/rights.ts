// Names the right that rssrv lacks when the machine refuses what a shared pool needs, as it does in the packaged unit without its drop-in.
// Invariant: only refusals of the machine are meant; a storage that refuses this server has its own errors.

/** What the package brings for servers with shared pools. It says in its first lines how it is enabled. */
export const DROP_IN = '/usr/share/rsio/rssrv-farm.conf';
/** The programs' texts are in English (LC_ALL=C). qemu-storage-daemon does not say why it cannot mount. */
const REFUSAL = /\b(?:EPERM|EACCES)\b|operation not permitted|permission denied|must be superuser|failed to mount fuse/i;

/** Returns `reason`. If it is a refusal of the machine, adds what rssrv needs, such as `CAP_SYS_ADMIN`, and how to permit it. */
export function withRights(reason: string, needs: string): string {
  return REFUSAL.test(reason) ? `${reason}; rssrv needs ${needs}: under systemd, enable ${DROP_IN} as its first lines say` : reason;
}
