// The services Controller, GroupController and SnapshotMetadata: the table of their calls. Invariant: calls about the same volume, snapshot
// or name run one at a time. Every capability that is announced has its calls.

import type { Clock } from '@rsio/base/lib/clock';
import type { Calls } from '../rpc/calls.ts';
import type {
  AllocatedRequest,
  CapacityRequest,
  CreateVolumeRequest,
  DeltaRequest,
  ExpandRequest,
  GroupRequest,
  GroupSnapshotRequest,
  ListRequest,
  ListSnapshotsRequest,
  PublishRequest,
  Texts,
  ValidateRequest,
} from '../rpc/messages.ts';
import { parseVolumeId } from '../product/ids.ts';
import { Orders, type RsiodCall, type RsiodHold } from '../product/orders.ts';
import { Volumes } from '../product/volumes.ts';
import type { ServiceName } from '../rpc/proto.ts';
import type { Handlers, Service } from '../rpc/rpc-server.ts';
import { Changes } from './changes.ts';
import { Creation } from './create.ts';
import { Listing } from './listing.ts';
import { SnapshotMetadata } from './metadata.ts';
import { MirrorSnapshots } from './mirror-snapshots.ts';
import { MirrorUse } from './mirror-use.ts';
import { Mirrors } from './mirrors.ts';
import { Publishing } from './publish.ts';
import { SnapshotRules } from './snapshots.ts';

const CONTROLLER_CAPABILITIES = [
  'CREATE_DELETE_VOLUME',
  'PUBLISH_UNPUBLISH_VOLUME',
  'LIST_VOLUMES',
  'GET_CAPACITY',
  'CREATE_DELETE_SNAPSHOT',
  'LIST_SNAPSHOTS',
  'CLONE_VOLUME',
  'PUBLISH_READONLY',
  'EXPAND_VOLUME',
  'LIST_VOLUMES_PUBLISHED_NODES',
  'VOLUME_CONDITION',
  'GET_VOLUME',
  'SINGLE_NODE_MULTI_WRITER',
  'MODIFY_VOLUME',
  'GET_SNAPSHOT',
] as const;

export interface ControllerPorts {
  readonly clock: Clock;
  readonly calls: Calls;
  readonly rsiod: RsiodCall;
  readonly hold: RsiodHold;
  /** Namespace that the driver serves; null for the only one. */
  readonly namespace: string | null;
  readonly newId: () => string;
}

export function controllerServices(ports: ControllerPorts): Readonly<Partial<Record<ServiceName, Service>>> {
  const { calls, rsiod, namespace } = ports;
  const orders = new Orders(rsiod, namespace);
  const volumes = new Volumes(orders);
  const parts = { ...ports, orders, volumes, use: new MirrorUse({ ...ports, orders, volumes }) };
  const snapshots = new SnapshotRules({ ...parts, mirrorSnapshots: new MirrorSnapshots(parts) });
  const mirrors = new Mirrors(parts);
  const whole = { ...parts, snapshots, mirrors };
  const metadata = new SnapshotMetadata(orders, snapshots);
  return {
    Controller: { handlers: { ...volumeHandlers(calls, whole), ...snapshotHandlers(calls, snapshots) } },
    GroupController: { handlers: groupHandlers(calls, snapshots) },
    SnapshotMetadata: {
      handlers: {},
      streams: {
        GetMetadataAllocated: (request: AllocatedRequest) => metadata.allocated(request),
        GetMetadataDelta: (request: DeltaRequest) => metadata.delta(request),
      },
    },
  };
}

type Parts = ConstructorParameters<typeof Creation>[0];

function volumeHandlers(calls: Calls, parts: Parts): Handlers {
  const [creation, publishing, listing, changes] = [new Creation(parts), new Publishing(parts), new Listing(parts), new Changes(parts)];
  const about = <T>(volumeId: string, work: () => Promise<T>): Promise<T> => calls.alone(`volume ${volumeId}`, work);
  return {
    CreateVolume: (request: CreateVolumeRequest) => calls.alone(`name ${request.name}`, () => creation.create(request)),
    DeleteVolume: ({ volumeId }: { readonly volumeId: string }) => about(volumeId, () => creation.delete(volumeId)),
    ControllerPublishVolume: (request: PublishRequest) => about(request.volumeId, () => publishing.publish(request)),
    ControllerUnpublishVolume: (request: { readonly volumeId: string; readonly nodeId: string }) =>
      about(request.volumeId, () => publishing.unpublish(request)),
    ValidateVolumeCapabilities: (request: ValidateRequest) => listing.validate(request),
    ListVolumes: (request: ListRequest) => listing.list(request),
    ControllerGetVolume: ({ volumeId }: { readonly volumeId: string }) => listing.get(volumeId),
    GetCapacity: (request: CapacityRequest) => listing.capacity(request),
    ControllerGetCapabilities: async () => ({ capabilities: CONTROLLER_CAPABILITIES.map((type) => ({ rpc: { type } })) }),
    ControllerExpandVolume: (request: ExpandRequest) => about(request.volumeId, () => changes.expand(request)),
    ControllerModifyVolume: (request: { readonly volumeId: string; readonly mutableParameters: Texts }) =>
      about(request.volumeId, () => changes.modify(request)),
  };
}

function snapshotHandlers(calls: Calls, snapshots: SnapshotRules): Handlers {
  return {
    CreateSnapshot: (request: { readonly sourceVolumeId: string; readonly name: string }) => {
      const create = (): Promise<object> => calls.alone(`snapshot ${request.name}`, () => snapshots.create(request));
      // The driver attaches a mirror for its snapshot. Meanwhile, it gives the mirror to no node.
      const isMirror = parseVolumeId(request.sourceVolumeId)?.kind === 'mirror';
      return isMirror ? calls.alone(`volume ${request.sourceVolumeId}`, create) : create();
    },
    DeleteSnapshot: ({ snapshotId }: { readonly snapshotId: string }) =>
      calls.alone(`snapshot ${snapshotId}`, () => snapshots.delete(snapshotId)),
    ListSnapshots: (request: ListSnapshotsRequest) => snapshots.list(request),
    GetSnapshot: ({ snapshotId }: { readonly snapshotId: string }) => snapshots.get(snapshotId),
  };
}

function groupHandlers(calls: Calls, snapshots: SnapshotRules): Handlers {
  const capabilities = [{ rpc: { type: 'CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT' } }];
  return {
    GroupControllerGetCapabilities: async () => ({ capabilities }),
    CreateVolumeGroupSnapshot: (request: GroupRequest) => calls.alone(`group ${request.name}`, () => snapshots.createGroup(request)),
    DeleteVolumeGroupSnapshot: (request: GroupSnapshotRequest) =>
      calls.alone(`group ${request.groupSnapshotId}`, () => snapshots.deleteGroup(request)),
    GetVolumeGroupSnapshot: (request: GroupSnapshotRequest) => snapshots.getGroup(request),
  };
}
