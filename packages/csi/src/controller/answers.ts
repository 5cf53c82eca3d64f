// Makes the messages about volumes and snapshots from what servers say. Pure. Invariant: the same volume gives the same message, so that
// repeated calls get equal answers.

import type { MirrorSummary } from '@rsio/api/views/mirror-views';
import type { ManagedVolumeView, SnapshotView } from '@rsio/api/views/views';
import type { FsType } from '../rpc/fields.ts';
import { type Condition, type ContentSource, type CsiSnapshot, type CsiVolume, FS_TYPE_KEY, type Timestamp } from '../rpc/messages.ts';
import { printGroupId, printSnapshotId, printVolumeId, type VolumeId } from '../product/ids.ts';
import type { Site } from '../product/orders.ts';
import { topologyOf } from '../product/topology.ts';

export function volumeMessage(
  { uuid, sizeBytes, kind }: { readonly uuid: string; readonly sizeBytes: number; readonly kind: 'volume' | 'mirror' },
  site: Site,
  fsType: FsType | null,
  contentSource: ContentSource | null,
): CsiVolume {
  return {
    capacityBytes: sizeBytes,
    volumeId: printVolumeId({ kind, uuid }),
    volumeContext: fsType === null ? {} : { [FS_TYPE_KEY]: fsType },
    contentSource,
    accessibleTopology: [topologyOf(site)],
  };
}

/** The nodes to which a volume is published: the clients that may attach it, without the driver's own client. */
export function publishedNodes({ clients }: Pick<ManagedVolumeView, 'clients'>, { nodename }: Pick<Site, 'nodename'>): string[] {
  return (clients ?? []).filter((name) => name !== nodename);
}

export function conditionOf(volume: ManagedVolumeView): Condition {
  const { state, reason, waitsForSpace, fullPool, halt, bridged } = volume;
  if (state !== 'served') return bad(`The server does not serve the volume: ${reason ?? 'see its log'}`);
  if (waitsForSpace) return bad(`Writes wait for space in pool ${fullPool ?? volume.pool ?? ''}: enlarge it, or delete other volumes`);
  if (halt !== null)
    return bad(`The I/O of the volume is ${halt.kind}: rsadm volume ${halt.kind === 'paused' ? 'resume' : 'start'} ends that`);
  if (bridged !== null) return bad('Reads failed on the disk and got their data from an image: replace the disk');
  return { abnormal: false, message: 'The server serves the volume' };
}

export function mirrorCondition({ state, replicas, voters, majority }: MirrorSummary): Condition {
  const answering = voters.filter(({ answers }) => answers).length;
  const away = replicas.find(({ inSync, isReachable }) => !inSync || !isReachable);
  if (state !== 'known') return bad(`The mirror is ${state}: rsconfig mirror list shows it`);
  if (answering < majority) return bad(`${answering} voters of the mirror answer, and ${majority} are needed`);
  if (away !== undefined) return bad(`The replica on server ${away.server} is ${away.isReachable ? 'behind' : 'not reachable'}`);
  return { abnormal: false, message: 'All replicas are in sync' };
}

export function snapshotMessage(snapshot: SnapshotView, of: VolumeId, groupSnapshotId = ''): CsiSnapshot {
  return {
    sizeBytes: snapshot.sizeBytes,
    snapshotId: printSnapshotId({ of, snapshot: snapshot.id }),
    sourceVolumeId: printVolumeId(of),
    creationTime: timestampOf(snapshot.createdMs),
    readyToUse: true,
    groupSnapshotId,
  };
}

export function groupIdOf({ group }: SnapshotView): string {
  return printGroupId(group);
}

export function timestampOf(wallMs: number): Timestamp {
  const ms = Math.round(wallMs);
  return { seconds: Math.floor(ms / 1_000), nanos: (ms % 1_000) * 1_000_000 };
}

function bad(message: string): Condition {
  return { abnormal: true, message };
}
