// The last step of a detach: ends the hold of a volume at its server, or the claim of a mirror. Before this step, attachments.ts has
// flushed the volume and removed it from the list, so that it no longer moves to another server. Invariant: each wait has a limit. Rules:
// H1, M13.

import type { Clock } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import type { AttachedMirror } from '../mirrors/attached-mirror.ts';
import type { Mirrors } from '../mirrors/mirrors.ts';
import type { Server } from '../network/server.ts';
import type { Volume } from '../volumes/volume.ts';
import { withinDetachWait } from './final-flush.ts';
import { DETACH_WAIT_MS, MIRROR_FORCED_WAIT_MS } from './limits.ts';

/** Throws E_VOLUME if the mirror was not recorded as cleanly detached. */
export async function endMirror(mirror: AttachedMirror, mirrors: Mirrors, isFlushed: boolean, force: boolean): Promise<void> {
  const isClean = isFlushed && (await mirror.detach(force ? MIRROR_FORCED_WAIT_MS : DETACH_WAIT_MS));
  await mirrors.stop(mirror.io);
  if (!isClean) throw new RsError('E_VOLUME', mirror.uncleanEnd);
}

/**
 * Closes the volume at its server. If the server is unreachable, the function returns at once, and CLOSE is sent when a path is up again.
 * Throws E_TIMEOUT, and E_VOLUME if the server may still hold the volume for this node.
 */
export async function closeAtServer(
  server: Server | undefined,
  { target }: Volume,
  label: string,
  isReachable: boolean,
  clock: Clock,
): Promise<void> {
  const [attachment] = target.attachments;
  if (server === undefined || attachment === undefined) return;
  if (!isReachable) {
    server.opener.close(attachment, () => undefined);
    return;
  }
  const problem = await withinDetachWait<string | null>(`close ${label}`, clock, (done) => server.opener.close(attachment, done));
  if (problem !== null)
    throw new RsError('E_VOLUME', `${label} is detached here, but server ${server.name} may still hold it for this node: ${problem}`);
}
