// Finds the servers of an attached volume. Invariant: the trunk of the volume decides, because a volume in a shared pool can go to
// another server (F9).

import type { Attachment } from '@rsio/protocol/client/attachment';
import type { VolumeTarget } from '@rsio/protocol/client/volume-target';
import type { Namespace } from '../network/namespace.ts';
import type { Server } from '../network/server.ts';
import type { Volume } from '../volumes/volume.ts';

/** The server of the volume; for a mirror, a server of one of its replicas. */
export function serverOf(namespaces: readonly Namespace[], { target, id }: Pick<Volume, 'target' | 'id'>): Server | undefined {
  return serverWith(namespaces, target) ?? serversOf(namespaces).find(({ volumes }) => volumes.some(({ mirror }) => mirror === id));
}

/** The first server that has one of the target's trunks. */
export function serverWith(namespaces: readonly Namespace[], { trunks }: VolumeTarget): Server | undefined {
  return serversOf(namespaces).find(({ trunk }) => trunks.includes(trunk));
}

/**
 * Protects the hold of an attachment that was granted in a shared pool: an earlier attachment's remains at other servers must not end it
 * (F9).
 */
export function keepHold(namespaces: readonly Namespace[], attachment: Attachment): void {
  if (attachment.ownership === null) return;
  const all = namespaces.map(({ servers }) => [...servers.values()]);
  const servers = all.find((list) => list.some(({ trunk }) => trunk.attachments.includes(attachment))) ?? [];
  for (const { trunk, opener } of servers) if (!trunk.attachments.includes(attachment)) opener.keepHold(attachment);
}

function serversOf(namespaces: readonly Namespace[]): Server[] {
  return namespaces.flatMap(({ servers }) => [...servers.values()]);
}
