// Types of the picture: the state of all machines at one moment, as used by pages, /picture.json and /live. The sources fill it.
// Invariants: the picture is plain JSON; every element of a list has an `id` that is unique in its list and never changes while the object
// exists; the fields `server`, `client`, `pool`, `mirror` and `volume` contain such ids; an unknown value is null.

import type { Progress, ReplicationView } from '@rsio/api/views/views';
import type { ClientRole } from '@rsio/common/config/schema/types';
import type { Direction, PathState } from '@rsio/base/lib/path-states';

export interface Picture {
  readonly takenMs: number;
  readonly machines: readonly Machine[];
  readonly servers: readonly Server[];
  readonly clients: readonly Client[];
  readonly paths: readonly Path[];
  readonly volumes: readonly Volume[];
  readonly pools: readonly Pool[];
  readonly mirrors: readonly Mirror[];
  /** The reports of all nodes: one for each application and each node that knows it. applications.ts chooses the ones that pages show. */
  readonly applications: readonly Application[];
  readonly works: readonly Work[];
  readonly replications: readonly Replication[];
  readonly gates: readonly Gate[];
  readonly snapshots: number;
  /**
   * All errors, then all warnings. Within each of the two groups, the sources alternate, and the oldest finding of a source comes first.
   */
  readonly findings: readonly Finding[];
  /** The events, the oldest first. */
  readonly events: readonly Event[];
}

/** The lists of a picture whose elements have an id. */
export type ListName =
  | ('machines' | 'servers' | 'clients' | 'paths' | 'volumes' | 'pools' | 'mirrors')
  | ('applications' | 'works' | 'replications' | 'gates' | 'findings' | 'events');

/** A machine that is a source: this machine, or another machine with an rsweb. */
export interface Machine {
  readonly id: string;
  readonly name: string;
  readonly isLocal: boolean;
  /** `silent` means that no daemon of the machine answers; `reason` contains the cause. */
  readonly state: 'answers' | 'silent';
  readonly reason: string | null;
  readonly programs: readonly {
    readonly program: 'rssrv' | 'rsiod' | 'rsapp';
    readonly version: string;
    readonly startedMs: number;
  }[];
}

/** The load of an object in the last interval. */
export interface Load {
  readonly readsPerSecond: number;
  readonly writesPerSecond: number;
  readonly readBytesPerSecond: number;
  readonly writtenBytesPerSecond: number;
  /** Latencies of the READs that were answered in the interval; null if no READ was answered or the latency is unknown. */
  readonly readLatency: Percentiles | null;
  readonly writeLatency: Percentiles | null;
}

export interface Percentiles {
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
}

export interface Server {
  readonly id: string;
  readonly name: string;
  readonly namespace: string;
  readonly serverid: number | null;
  /** Machine whose own daemon reports the server; null if only clients report it. */
  readonly machine: string | null;
  readonly state: 'up' | 'connecting' | 'down';
  readonly reason: string | null;
  readonly version: string | null;
  readonly startedMs: number | null;
  readonly interfaces: readonly {
    readonly name: string;
    readonly address: string;
    readonly port: number;
    readonly state: 'listening' | 'waiting' | 'off' | 'unknown';
    readonly reason: string | null;
  }[];
  readonly load: Load;
}

export interface Client {
  readonly id: string;
  readonly name: string;
  /** Machine whose own daemon reports the client; null if only servers report it. */
  readonly machine: string | null;
  /** `silent` means that the client has a session without a path. */
  readonly state: 'connected' | 'silent' | 'absent';
  readonly address: string | null;
  readonly sinceMs: number | null;
  readonly version: string | null;
  /** Right of the client on its servers; null if unknown. */
  readonly role: ClientRole | null;
  readonly fencedMs: number | null;
  /** Ids of the volumes that the client has attached or holds. */
  readonly volumes: readonly string[];
  readonly load: Load;
}

export interface Path {
  readonly id: string;
  readonly client: string;
  readonly server: string;
  /** Interface of the client; null if only the server reports the path. */
  readonly interface: string | null;
  readonly localAddress: string | null;
  /** Address of the server's end. */
  readonly address: string;
  readonly port: number | null;
  readonly state: PathState;
  readonly tx: Direction;
  readonly rx: Direction;
  readonly sinceMs: number;
  readonly lastError: string | null;
  readonly roundTripMs: number | null;
  /** Cipher suite; null if the path is plain or not connected. */
  readonly cipher: string | null;
  /** Bytes that are sent on the path per second; null if unknown. */
  readonly sentBytesPerSecond: number | null;
  readonly receivedBytesPerSecond: number | null;
}

/**
 * `served`: clients can use the volume. `paused`, `stopped`: a command has paused or stopped the volume. `unavailable`: the volume cannot
 * be served; `reason` contains the cause.
 */
export type VolumeState = 'served' | 'paused' | 'stopped' | 'unavailable';

export interface Volume {
  readonly id: string;
  readonly name: string;
  readonly universe: number;
  /** Server that offers the volume. If several servers offer the volume, this is the first of them. */
  readonly server: string;
  /** Id of the volume's pool; null if a section `[volume]` configures the volume. */
  readonly pool: string | null;
  readonly state: VolumeState;
  readonly reason: string | null;
  readonly sizeBytes: number | null;
  readonly usedBytes: number | null;
  readonly readonly: boolean;
  readonly shared: boolean;
  readonly holders: readonly { readonly client: string; readonly sinceMs: number }[];
  /** I/O that waits at the server or at a client. `waitsFor`: a text such as `a path to server big-9`. */
  readonly waits: readonly { readonly client: string; readonly waitsFor: string; readonly requests: number; readonly sinceMs: number }[];
  readonly snapshots: number;
  readonly lastSnapshotMs: number | null;
  /** Schedule of snapshots, such as `hourly keep 24`. */
  readonly schedule: string | null;
  readonly mirror: string | null;
  /** `iopsLimit` and `bandwidthLimitBytes` limit the I/O of the volume; null means no limit. */
  readonly iopsLimit: number | null;
  readonly bandwidthLimitBytes: number | null;
  readonly load: Load;
}

export interface Pool {
  readonly id: string;
  readonly name: string;
  readonly server: string;
  readonly path: string;
  /** `elsewhere`: another server serves this shared pool; `reason` names it. */
  readonly state: 'ready' | 'unavailable' | 'elsewhere';
  readonly reason: string | null;
  readonly totalBytes: number | null;
  readonly freeBytes: number | null;
  readonly promisedBytes: number;
  readonly limitBytes: number | null;
  /** Time until the pool is full at the pace of the last 7 and 30 days; null if it does not grow, or is not known. */
  readonly fullInWeekPaceMs: number | null;
  readonly fullInMonthPaceMs: number | null;
  /** Share of the file system, from 0 to 1, that is kept free. */
  readonly reserve: number;
  readonly isShort: boolean;
  readonly volumes: number;
  readonly removed: number;
}

export interface Mirror {
  readonly id: string;
  readonly name: string;
  readonly universe: number;
  readonly namespace: string;
  readonly state: 'known' | 'unfinished' | 'unknown';
  readonly sizeBytes: number | null;
  readonly replicas: readonly {
    /** Null if the server is not in the picture. */
    readonly server: string | null;
    readonly serverName: string;
    /** Id of the replica's volume; null if the volume is not in the picture. */
    readonly volume: string | null;
    readonly state: 'in sync' | 'behind' | 'copying';
    readonly isReachable: boolean;
    readonly leftBytes: number | null;
    readonly bytesPerSecond: number | null;
    readonly etaMs: number | null;
  }[];
  readonly voters: readonly { readonly serverName: string; readonly answers: boolean; readonly trouble: string | null }[];
  readonly majority: number;
  /** Client that has attached the mirror; null if the mirror is not attached. */
  readonly holder: string | null;
}

/** An application, as the rsapp of one node sees it. */
export interface Application {
  readonly id: string;
  readonly name: string;
  /** Client whose rsapp reports it. */
  readonly reporter: string;
  /** The reporter gives its applications away. */
  readonly isDrained: boolean;
  readonly state: 'running' | 'starting' | 'stopping' | 'stopped' | 'disabled' | 'waiting' | 'new' | 'unknown';
  /** Client that holds its first volume, and so has the application; null: none, or this is unknown. */
  readonly on: string | null;
  /** When the reporter last saw a change of `state` or of `on`. */
  readonly sinceMs: number;
  readonly volumes: readonly string[];
  /** Clients that may run it, in order of preference. */
  readonly nodes: readonly string[];
  /** Client that would take it over; null: none is known to be able to. */
  readonly next: string | null;
  /** Why it does not run, what failed last, or what cannot be removed; empty: nothing. */
  readonly why: string;
  readonly failed: boolean;
  /** The reporter could not remove the whole application, and goes on trying. */
  readonly remains: boolean;
}

/** A fault, with its remedy. */
export interface Finding {
  readonly id: string;
  readonly severity: 'error' | 'warning';
  readonly what: string;
  /** Machine or object, such as `server big-9`. */
  readonly where: string;
  readonly remedy: string;
  /** Shell commands for root, in order, that can be run unchanged. */
  readonly commands: readonly string[];
  /** Page of the object, such as /volume/ID; null if there is none. */
  readonly href: string | null;
  /** Start of the fault; null if unknown. */
  readonly sinceMs: number | null;
}

export interface Event {
  readonly id: string;
  readonly atMs: number;
  /** Machine that has reported the event. */
  readonly machine: string;
  readonly object: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
  readonly href: string | null;
}

/** Work that takes time. `server`: the server that does it; `client`: the client whose machine does it; one of them is null. */
export interface Work extends Omit<Progress, 'goesOn'> {
  readonly server: string | null;
  readonly client: string | null;
  /** Id of the job; null if it is no job. */
  readonly job: string | null;
  readonly limitBytes: number | null;
}

export interface Replication extends Pick<ReplicationView, 'direction' | 'peer' | 'state' | 'text' | 'everyMs' | 'ageMs'> {
  readonly id: string;
  readonly server: string;
  /** Names of the volumes. */
  readonly volumes: string;
  readonly backlogBytes: number;
}

/** A gate of a client for hosts without rsiod. */
export interface Gate {
  readonly id: string;
  readonly client: string;
  readonly name: string;
  readonly protocol: string;
  readonly listening: readonly string[];
  readonly hosts: readonly string[];
  readonly volumes: readonly string[];
  /** Why no host can use it, or why it has not got a volume; null: nothing. */
  readonly trouble: string | null;
}

/** Returns true for the machine of this rsweb, whose daemons it asks. */
export function isLocal(machine: string | null, { machines }: Pick<Picture, 'machines'>): boolean {
  return machine !== null && machines.some((one) => one.isLocal && one.id === machine);
}
