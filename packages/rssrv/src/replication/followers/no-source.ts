// Says why followers have no source with which they could exchange the roles, and what the administrator can do. Pure. Invariant: the text
// names the server, and a command that works in this state.

import { RsError } from '@rsio/common/lib/errors';
import { volumeText } from '../../pools/catalogue.ts';
import type { Manifest } from '../../pools/disk/manifest.ts';
import { following } from '../../pools/follower-rules.ts';

type Follower = Pick<Manifest, 'name' | 'universe' | 'follower'>;

/** `peer`: the peer with the order of these followers; null if no peer offers it. */
export function noSource(all: readonly Follower[], peer: string | null, isConnected: (peer: string) => boolean): RsError {
  const texts = all.map(volumeText);
  const names = texts.join(', ');
  const server = peer ?? all.flatMap((one) => following(one)?.peer ?? [])[0];
  if (server === undefined) {
    const subject = all.length === 1 ? `Volume ${names} is no follower` : `Volumes ${names} are no followers`;
    return new RsError('E_USAGE', `${subject} any more after the promotion: rsadm volume replications shows the followers`);
  }
  const promote = `rsadm volume promote ${texts.join(' ')} makes the followers usable without it`;
  if (!isConnected(server))
    return new RsError('E_UNREACHABLE', `Server ${server}, which has the source of ${names}, is not connected: if it is lost, ${promote}`, {
      peer: server,
    });
  return new RsError(
    'E_UNREACHABLE',
    `Server ${server} offers no replication of ${names}: if it has just connected, try again in some seconds, otherwise ${promote}`,
    { peer: server },
  );
}
