// Says why followers have no source with which they could exchange the roles, and what the administrator can do. Pure. Invariant: the text
// names the server, and a command that works in this state.

import { RsError, toRsError } from '@rsio/base/lib/errors';
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

/** Replaces the error of a server of an earlier release, which does not know the order. */
export function earlierRelease(peer: string, thrown: unknown): RsError {
  const error = toRsError(thrown);
  if (error.code !== 'E_USAGE' || !error.message.startsWith('Unknown method')) return error;
  return new RsError(
    'E_USAGE',
    `Server ${peer} runs an earlier release of RSIO, with which this one exchanges no roles: update it first (copies go on meanwhile)`,
    { peer },
    error,
  );
}

/** Adds the remedy to the error of a call for a hand-over, if the source did not answer. A check changes nothing. */
export function noAnswer(all: readonly Follower[], peer: string, isCheck: boolean, thrown: unknown): RsError {
  const error = toRsError(thrown);
  const { isOutcomeUnknown } = error.context;
  // An error that the source has answered says nothing about the outcome of the call.
  if (!['E_TIMEOUT', 'E_UNREACHABLE'].includes(error.code) || typeof isOutcomeUnknown !== 'boolean') return error;
  const names = all.map(volumeText);
  const outcome = isOutcomeUnknown && !isCheck ? `it is unknown whether it hands ${names.join(', ')} over` : 'nothing was changed';
  return new RsError(
    error.code,
    `Server ${peer} does not answer, and ${outcome}: rsadm volume replications shows whether the roles are being exchanged; ` +
      `rsadm volume reverse ${names.join(' ')} --cancel gives it up, or if ${peer} is lost, rsadm volume promote ${names.join(' ')}`,
    { peer, isOutcomeUnknown: isOutcomeUnknown && !isCheck },
    error,
  );
}
