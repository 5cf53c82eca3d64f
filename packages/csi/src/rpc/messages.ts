// The messages of CSI that this program reads and writes, as proto/csi.proto defines them. Field names are those of proto-loader (camel
// case). The library checks types when it decodes a message; fields.ts checks what a call needs. Numbers of 64 bits are doubles, and are
// exact up to 2^53, which no volume exceeds. Invariant: a field of a request that a call needs is checked before it is used.

/** Key of the context of a volume: the file system that nodes make. */
export const FS_TYPE_KEY = 'fsType';
/** Key of the context of a publication: `yes` if the node attaches the volume read-only. */
export const READONLY_KEY = 'readonly';

export type Texts = Readonly<Record<string, string>>;

export interface Capability {
  readonly accessType?: 'block' | 'mount';
  readonly mount?: { readonly fsType: string; readonly mountFlags: readonly string[] } | null;
  readonly accessMode: { readonly mode: string } | null;
}

export interface CapacityRange {
  readonly requiredBytes: number;
  readonly limitBytes: number;
}

export interface Topology {
  readonly segments: Texts;
}

export interface ContentSource {
  readonly type?: 'snapshot' | 'volume';
  readonly snapshot?: { readonly snapshotId: string } | null;
  readonly volume?: { readonly volumeId: string } | null;
}

export interface CsiVolume {
  readonly capacityBytes: number;
  readonly volumeId: string;
  readonly volumeContext: Texts;
  readonly contentSource?: ContentSource | null;
  readonly accessibleTopology: readonly Topology[];
}

export interface Condition {
  readonly abnormal: boolean;
  readonly message: string;
}

export interface Timestamp {
  readonly seconds: number;
  readonly nanos: number;
}

export interface CsiSnapshot {
  readonly sizeBytes: number;
  readonly snapshotId: string;
  readonly sourceVolumeId: string;
  readonly creationTime: Timestamp;
  readonly readyToUse: boolean;
  readonly groupSnapshotId: string;
}

export interface CreateVolumeRequest {
  readonly name: string;
  readonly capacityRange: CapacityRange | null;
  readonly volumeCapabilities: readonly Capability[];
  readonly parameters: Texts;
  readonly volumeContentSource: ContentSource | null;
  readonly accessibilityRequirements: { readonly requisite: readonly Topology[]; readonly preferred: readonly Topology[] } | null;
  readonly mutableParameters: Texts;
}

export interface PublishRequest {
  readonly volumeId: string;
  readonly nodeId: string;
  readonly volumeCapability: Capability | null;
  readonly readonly: boolean;
}

export interface ValidateRequest {
  readonly volumeId: string;
  readonly volumeContext: Texts;
  readonly volumeCapabilities: readonly Capability[];
  readonly parameters: Texts;
  readonly mutableParameters: Texts;
}

export interface ListRequest {
  readonly maxEntries: number;
  readonly startingToken: string;
}

export interface ListSnapshotsRequest extends ListRequest {
  readonly sourceVolumeId: string;
  readonly snapshotId: string;
}

export interface CapacityRequest {
  readonly volumeCapabilities: readonly Capability[];
  readonly parameters: Texts;
  readonly accessibleTopology: Topology | null;
}

export interface ExpandRequest {
  readonly volumeId: string;
  readonly capacityRange: CapacityRange | null;
  readonly volumeCapability: Capability | null;
}

export interface GroupRequest {
  readonly name: string;
  readonly sourceVolumeIds: readonly string[];
}

export interface GroupSnapshotRequest {
  readonly groupSnapshotId: string;
  readonly snapshotIds: readonly string[];
}

export interface AllocatedRequest {
  readonly snapshotId: string;
  readonly startingOffset: number;
  readonly maxResults: number;
}

export interface DeltaRequest {
  readonly baseSnapshotId: string;
  readonly targetSnapshotId: string;
  readonly startingOffset: number;
  readonly maxResults: number;
}

export interface Metadata {
  readonly blockMetadataType: 'VARIABLE_LENGTH';
  readonly volumeCapacityBytes: number;
  readonly blockMetadata: readonly { readonly byteOffset: number; readonly sizeBytes: number }[];
}

export interface StageRequest {
  readonly volumeId: string;
  readonly publishContext: Texts;
  readonly stagingTargetPath: string;
  readonly volumeCapability: Capability | null;
  readonly volumeContext: Texts;
}

export interface NodePublishRequest extends StageRequest {
  readonly targetPath: string;
  readonly readonly: boolean;
}

export interface PathRequest {
  readonly volumeId: string;
  readonly stagingTargetPath: string;
  readonly targetPath: string;
  readonly volumePath: string;
}

export interface NodeExpandRequest {
  readonly volumeId: string;
  readonly volumePath: string;
  readonly capacityRange: CapacityRange | null;
  readonly volumeCapability: Capability | null;
}
