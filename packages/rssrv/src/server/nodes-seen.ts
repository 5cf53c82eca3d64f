// Tells a client for how long this server has not heard other nodes (the ioctl NODES_SEEN). Pure. Invariants: a client learns this only
// about nodes that may use the same volume or mirror. A node that this server has not seen since the server's start counts as silent from
// that start, so that the server never reports a silence longer than the time for which it has watched.

import { STATUS, statusEntry } from '@rsio/protocol/wire/status';
import { mayUse } from '../mirrors/voter-rules.ts';
import type { Voters } from '../mirrors/voters.ts';
import { isFor } from '../storage/io/served-volume.ts';
import type { NodesAsk, NodesReply } from '../volumes/holds/node-asks.ts';
import type { Volumes } from '../volumes/volumes.ts';
import type { Admissions } from './admissions.ts';

interface NodesSeenParts {
  readonly volumes: Pick<Volumes, 'served'>;
  readonly voters: Pick<Voters, 'recordOf'>;
  readonly admissions: Pick<Admissions, 'silentMs'>;
}

export function nodesSeen(parts: NodesSeenParts, asker: string, { id, nodes }: NodesAsk): NodesReply {
  const mayBeUsedBy = users(parts, id);
  if (mayBeUsedBy === null || !mayBeUsedBy(asker))
    return { nodesStatus: STATUS.UNKNOWN_VOLUME, sentence: statusEntry(STATUS.UNKNOWN_VOLUME).sentence, silentMs: [] };
  const silentMs = nodes.map((node) => (mayBeUsedBy(node) ? parts.admissions.silentMs(node) : null));
  return { nodesStatus: STATUS.OK, sentence: '', silentMs };
}

function users(parts: NodesSeenParts, id: string): ((node: string) => boolean) | null {
  const volume = parts.volumes.served.find((one) => one.id === id);
  if (volume !== undefined) return (node) => isFor(volume, node);
  const record = parts.voters.recordOf(id);
  return record === null ? null : (node) => mayUse(record, node);
}
