// Tells a client for how long this server has not heard other nodes (the ioctl NODES_SEEN). Pure. Invariants: a client learns this only
// about nodes that may use the same volume or mirror. A node that this server has not seen since the server's start counts as silent from
// that start, so that the server never reports a silence longer than the time for which it has watched.

import { STATUS, statusEntry } from '@rsio/protocol/wire/status';
import { mayUse, type VoterRecord } from '../mirrors/voter-rules.ts';
import { isFor, type ServedVolume } from '../storage/io/served-volume.ts';
import type { NodesAsk, NodesReply } from '../volumes/holds/node-asks.ts';

export interface NodesSeenPorts {
  served(): readonly ServedVolume[];
  recordOf(mirror: string): VoterRecord | null;
  /** See Admissions.silentMs. */
  silentMs(node: string): number | null;
}

export function nodesSeen(ports: NodesSeenPorts, asker: string, { id, nodes }: NodesAsk): NodesReply {
  const mayBeUsedBy = users(ports, id);
  if (mayBeUsedBy === null || !mayBeUsedBy(asker))
    return { nodesStatus: STATUS.UNKNOWN_VOLUME, sentence: statusEntry(STATUS.UNKNOWN_VOLUME).sentence, silentMs: [] };
  const silentMs = nodes.map((node) => (mayBeUsedBy(node) ? ports.silentMs(node) : null));
  return { nodesStatus: STATUS.OK, sentence: '', silentMs };
}

function users(ports: NodesSeenPorts, id: string): ((node: string) => boolean) | null {
  const volume = ports.served().find((one) => one.id === id);
  if (volume !== undefined) return (node) => isFor(volume, node);
  const record = ports.recordOf(id);
  return record === null ? null : (node) => mayUse(record, node);
}
