// Types for the content of the two configuration files, checked and with defaults filled in. Durations are in milliseconds, and sizes are
// in bytes.

import type { Address } from '@rsio/base/lib/address';
import type { APPLICATION_SECTION, ApplicationMount } from './application-section.ts';
import type { SectionFields } from './entries.ts';
import type { NamespaceSettings, VolumeOverrides } from './inherited.ts';
import type { IoLimits } from './io-limits.ts';
import type { LocalRole } from './local-roles.ts';
import type { SCHEMA } from './schema.ts';
import type { DiskConfig, EndpointConfig, FenceConfig } from './value-types.ts';

export type DeviceChoice = NamespaceSettings['device'];
/**
 * `off`: the server encrypts no path. `allow`: the server encrypts the paths of clients that request encryption. `require`: the server
 * refuses all other clients.
 */
export type TlsPolicy = 'off' | 'allow' | 'require';

/** The values that a section of rssrvcfg sets as they are (schema.ts). */
type Fields<S extends keyof typeof SCHEMA.rssrvcfg> = SectionFields<(typeof SCHEMA)['rssrvcfg'][S]['keys']>;

/** A finding that does not prevent the use of the configuration file. */
export interface ConfigWarning {
  readonly file: string;
  /** Line number, counted from 1; 0 if the warning is about the whole file. */
  readonly line: number;
  readonly message: string;
}

export interface ServerInterfaceConfig {
  readonly name: string;
  readonly address: string;
  /** Prefix length from `ADDRESS/LENGTH`; null if the file gives only the address (see prefixLengthOf). */
  readonly prefixLength: number | null;
  readonly port: number;
}

export interface ServerVolumeConfig extends Omit<Fields<'volume'>, 'unlocked'> {
  readonly name: string;
  /** True if rssrv may serve the volume even if the volume's file cannot be locked; absent: false. */
  readonly unlocked?: boolean;
  /** I/O limits of the volume; if the field is absent, NO_IO_LIMITS apply. */
  readonly limits?: IoLimits;
  /** Set for a volume of a pool. A manifest describes this volume, instead of a section of the file. */
  readonly pool?: PoolMembership;
  /** Set for a volume that lies in pools and consists of several files. `path` and `pool` describe the first file. */
  readonly layout?: VolumeLayout;
  /** Line of the section; 0 for a volume of a pool. */
  readonly line: number;
}

export interface PoolMembership {
  readonly name: string;
  /** Stamp of the data file when it was created; null if the data file cannot be distinguished from other files. */
  readonly stamp: string | null;
  /** Ids of the pools that hold the content. */
  readonly ids: readonly string[];
  /** True if space for the whole volume is allocated. */
  readonly isThick: boolean;
  /** Set if the volume is a replica of a mirror. `mapPath`: path of the replica's intent map. */
  readonly replica?: { readonly mirror: string; readonly identity: string; readonly mapPath: string };
  /** Set if no client can open the volume, because it follows a volume of another server, or is being handed over to that server. */
  readonly follows?: { readonly server: string; readonly why: string };
  /** Reason why the volume cannot be served although its pool is open. */
  readonly trouble?: string;
  /** Set for a volume of a shared pool. */
  readonly ownership?: PoolOwnership;
}

/** The time in which a server owns a shared pool. */
export interface PoolOwnership {
  readonly generation: number;
  /** The generation in which the present incarnations of the volumes began. */
  readonly life: number;
}

export interface VolumeLayout {
  /** For a striped volume, the size of its chunks, which are distributed over the files round robin; null if the files are concatenated. */
  readonly chunkBytes: number | null;
  readonly parts: readonly PartConfig[];
}

export interface PartConfig {
  readonly poolId: string;
  /** Name of the pool; null if the pool is not open. */
  readonly pool: string | null;
  /** Path of the file; null if the file cannot be used. */
  readonly path: string | null;
  readonly sizeBytes: number;
  /** Stamp of the file when it was created; null if the file cannot be distinguished from other files. */
  readonly stamp: string | null;
  /** Reason why the file cannot be used; null if it can be used. */
  readonly trouble: string | null;
}

/** A pool on a shared disk. One of several servers owns it at a time, and mounts its file system at the path of the pool. */
export interface SharedDiskConfig {
  readonly disk: DiskConfig;
  readonly fence: FenceConfig;
  /** True if the program of the fence also runs for an earlier boot of this server, which it must tell from this machine. */
  readonly fencesSelf: boolean;
  /** Names of the servers that may own the pool, in order of preference. */
  readonly owners: readonly string[];
  /**
   * Time for which the owner must be silent before another server takes the pool by force; null if only a command moves the pool.
   */
  readonly takeOverMs: number | null;
}

/** What a pool does if its volumes together would be larger than its space: nothing, a warning, or a refusal. */
export type Overcommit = 'allow' | 'warn' | 'refuse';

/** One `[pool]` section. */
export interface PoolConfig {
  readonly name: string;
  readonly path: string;
  /** The most bytes that the volumes of the pool may promise together; null for no limit. */
  readonly limitBytes: number | null;
  /** Share of the file system, from 0 to 1, that is kept free. */
  readonly reserve: number;
  readonly overcommit: Overcommit;
  /** Null for a pool on a disk of this server. */
  readonly shared: SharedDiskConfig | null;
  readonly line: number;
}

/** One `[trigger]` section. */
export interface TriggerConfig {
  readonly name: string;
  readonly on: 'snapshot-before' | 'snapshot-after' | 'event';
  /** Path of the program that the trigger starts. */
  readonly run: string;
  readonly timeoutMs: number;
  /** Line of the key `run`. */
  readonly line: number;
}

/**
 * `copy`: read the moments of replications to it. `use`: attach volumes. `view`: see everything, and change nothing. `manage`: also create and
 * change volumes in some pools. `admin`: everything that rsadm can do. client-rights.ts has what each gives.
 */
export const CLIENT_ROLES = ['copy', 'use', 'view', 'manage', 'admin'] as const;
export type ClientRole = (typeof CLIENT_ROLES)[number];

/** One line of `[rights]`. A client without a line has the role `use`. */
export interface ClientRights {
  readonly name: string;
  readonly role: ClientRole;
  /** Pools that a client with the role `manage` may use; null for all pools. */
  readonly pools: readonly string[] | null;
  /** The most bytes that the volumes of a client with the role `manage` may have together; null for no limit. */
  readonly limitBytes: number | null;
  /** I/O limits of the client for all its volumes together; absent for no limits. */
  readonly limits?: IoLimits;
  readonly line: number;
}

/** One `[peer]` section: a server that this server connects to as a client, to copy volumes. */
export interface PeerConfig {
  /** Name that the peer must prove. */
  readonly name: string;
  readonly addresses: readonly EndpointConfig[];
  readonly namespaceid: number;
  /** Name and key of this server in [clients] of the peer. */
  readonly nodename: string;
  readonly nodekey: string;
  /** Key with which the peer must prove its identity; null if the nodekey suffices. */
  readonly serverkey: string | null;
  readonly tls: boolean;
  readonly digest: boolean;
  /** Pools in which orders of the peer may make followers; null for all pools. */
  readonly pools: readonly string[] | null;
  readonly line: number;
}

export interface ServerClientConfig {
  readonly name: string;
  readonly key: string;
  /** The second key while the key is being changed; otherwise null. The client may use either key. */
  readonly newKey: string | null;
}

/** The groups of persons on the server. */
export type LocalGroups = { readonly [R in LocalRole]: { readonly name: string; readonly line: number } | null };

/** Where a daemon offers its metrics. */
export interface MetricsConfig extends EndpointConfig {
  /** Token that a reader of the metrics must send. Null is valid only for a loopback address, which needs no token. */
  readonly token: string | null;
}

export interface RssrvConfig {
  readonly file: string;
  readonly namespace: Fields<'namespace'> & {
    readonly name: string;
    readonly namespaceid: number;
  };
  readonly server: Fields<'server'> & {
    readonly name: string;
    readonly serverid: number;
    /** The group with each role, which has a control socket of its own, and its line in the file; null for no group. */
    readonly groups: LocalGroups;
    /** The user of the worker processes, and its line in the file; null for the default. */
    readonly user: { readonly name: string; readonly line: number } | null;
    /** Maximum number of worker processes. If sessions outnumber workers, several sessions share a worker. */
    readonly processes: number;
    /** Where the daemon offers its metrics; null if it offers no metrics. */
    readonly metrics: MetricsConfig | null;
  };
  readonly interfaces: readonly ServerInterfaceConfig[];
  readonly volumes: readonly ServerVolumeConfig[];
  readonly pools: readonly PoolConfig[];
  readonly triggers: readonly TriggerConfig[];
  readonly clients: readonly ServerClientConfig[];
  readonly peers: readonly PeerConfig[];
  readonly rights: readonly ClientRights[];
  /** True if the file has a section [rights], even an empty one; otherwise, a forced take-over does not need the role `admin`. */
  readonly hasRights: boolean;
  readonly warnings: readonly ConfigWarning[];
}

export interface ClientInterfaceConfig {
  readonly name: string;
  readonly address: string;
  readonly prefixLength: number | null;
  /** For display only; the function targetPort determines the port to which a path connects. */
  readonly port: number;
  /** Port that the [interface] section itself sets; null if the section does not set a port. */
  readonly portGiven: number | null;
}

/** One `[server]` section, which describes one interface of a server. */
export interface ClientServerConfig {
  readonly name: string;
  readonly address: string;
  /** Port that the [server] section itself sets; null if the section does not set a port (see targetPort). */
  readonly port: number | null;
  readonly serverkey: string | null;
  /** Zero-based position of the section among all `[server]` sections in the file. */
  readonly position: number;
}

export interface VolumeOverride extends VolumeOverrides {
  readonly name: string;
  readonly attach: boolean | null;
  readonly readonly: boolean | null;
  readonly path: string | null;
}

export interface ClientNamespaceConfig extends NamespaceSettings {
  readonly name: string;
  readonly namespaceid: number;
  readonly nodename: string;
  readonly nodekey: string;
  readonly namespacekey: string | null;
  readonly port: number | null;
  readonly servers: readonly ClientServerConfig[];
  readonly volumes: readonly VolumeOverride[];
}

/** One `[gate]` section: attached volumes that hosts without rsiod use by NVMe/TCP or iSCSI. */
export interface ClientGateConfig {
  readonly name: string;
  readonly protocol: 'nvme' | 'iscsi';
  /** NQN of the subsystem, or IQN of the target; null for the NQN or IQN that is made from the namespaceid and the gate's name. */
  readonly nqn: string | null;
  readonly addresses: readonly EndpointConfig[];
  /** NQNs of the hosts that may log in, or their IQNs; null for all hosts. */
  readonly hosts: readonly string[] | null;
  /** Names of the volumes, such as `oracle` or `oracle@1`; `all` for all attached volumes. */
  readonly volumes: 'all' | readonly string[];
  /** The number of this gate among the gates of one subsystem on several machines; null if it is the only one. */
  readonly member: number | null;
  /** File with the secrets of the hosts; null if hosts do not authenticate. */
  readonly secretFile: string | null;
  /**
   * The secrets in the file, by NQN or IQN; null if hosts do not authenticate. A host without a secret is refused, unless hosts use TLS: then its
   * TLS key is its proof.
   */
  readonly secrets: ReadonlyMap<string, GateSecret> | null;
  /** True if hosts have to use TLS. A host without a TLS key is then refused. */
  readonly tls: boolean;
  /** The keys for TLS in the file, by NQN of the host. */
  readonly tlsKeys: ReadonlyMap<string, GateSecret>;
}

/** One `[gate]` section with `protocol = aoe`: attached volumes that hosts use by ATA over Ethernet. */
export interface AoeGateConfig {
  readonly name: string;
  /** Name of the network interface of this machine, such as eth1. */
  readonly interface: string;
  readonly shelf: number;
  /** MAC addresses of the hosts that get answers, such as 02:00:00:00:00:01; null for all hosts. */
  readonly hosts: readonly string[] | null;
  readonly volumes: 'all' | readonly string[];
  /** The configured slots, by the names of the volumes in `volumes`. The gate chooses the slots of all other volumes. */
  readonly slots: ReadonlyMap<string, number>;
  /** True if hosts may write, although a frame that the network delays can revert a block. */
  readonly hasUnsafeWrites: boolean;
}

/** One `[application]` section: an application, which only one of several nodes runs at a time. */
export interface ApplicationConfig extends SectionFields<(typeof APPLICATION_SECTION)['keys']> {
  readonly name: string;
  readonly volumes: readonly string[];
  readonly mounts: readonly ApplicationMount[];
  readonly service:
    | { readonly kind: 'unit'; readonly unit: string }
    | { readonly kind: 'programs'; readonly start: string; readonly stop: string | null };
  readonly address: { readonly address: Address; readonly prefix: number; readonly device: string | null } | null;
  readonly nodes: readonly string[];
  /** Line of the section. */
  readonly line: number;
}

/** A secret of a host or of a gate, or a key for TLS. `hash`: the hash that transforms the key with the NQN before use; 0 for none. */
export interface GateSecret {
  readonly hash: number;
  readonly key: Buffer;
}

export interface RscltConfig extends SectionFields<(typeof SCHEMA)['rscltcfg']['defaults']['keys']> {
  readonly file: string;
  readonly defaultPort: number | null;
  /** Value of the key `tls` for namespaces that do not set this key. */
  readonly defaultTls: boolean;
  /** Where the daemon offers its metrics; null if it offers no metrics. */
  readonly metrics: MetricsConfig | null;
  /** The same for rsapp. */
  readonly appMetrics: MetricsConfig | null;
  readonly interfaces: readonly ClientInterfaceConfig[];
  readonly namespaces: readonly ClientNamespaceConfig[];
  readonly gates: readonly ClientGateConfig[];
  readonly aoeGates: readonly AoeGateConfig[];
  readonly applications: readonly ApplicationConfig[];
  readonly triggers: readonly TriggerConfig[];
  readonly warnings: readonly ConfigWarning[];
}
