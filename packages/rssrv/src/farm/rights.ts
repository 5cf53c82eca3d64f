// Names the right that rssrv lacks if the machine refuses a call that a shared pool needs. The packaged unit refuses such calls without its
// drop-in. Invariant: this concerns only refusals by the machine; a storage that refuses this server has its own errors.

/** The drop-in that the package contains for servers with shared pools. Its first lines say how to enable it. */
export const DROP_IN = '/usr/share/rsio/rssrv-farm.conf';
/** The programs' texts are in English (LC_ALL=C). qemu-storage-daemon does not say why it cannot mount. */
const REFUSAL = /\b(?:EPERM|EACCES)\b|operation not permitted|permission denied|must be superuser|failed to mount fuse/i;

/**
 * Returns `reason`. If the reason is a refusal by the machine, adds which right rssrv needs, such as `CAP_SYS_ADMIN`, and how to grant this
 * right.
 */
export function withRights(reason: string, needs: string): string {
  return REFUSAL.test(reason) ? `${reason}; rssrv needs ${needs}: under systemd, enable ${DROP_IN} as its first lines say` : reason;
}
