// Types of the facts about the file, the machine, each tried path and the daemon. Invariant: facts are plain data; an unknown fact is null,
// and checks ignore unknown facts.

import type { NamespaceShown } from '@rsio/api/rssrv/namespace-methods';
import type { IniDocument } from '@rsio/common/config/reader/ini-document';
import type { ConfigWarning, RscltConfig } from '@rsio/common/config/schema/types';
import type { ApplicationsView } from '@rsio/api/rsapp/app-methods';
import type { AoeGateView, BackupView, DaemonView, GateView, ServerView, StatusView } from '@rsio/api/rsiod/methods';
import type { MirrorSummary } from '@rsio/api/views/mirror-views';
import type { PoolView, ReplicationView } from '@rsio/api/views/views';
import type { Upkeep } from '@rsio/api/manage/upkeep';
import type { Finding } from '@rsio/protocol/explorer/finding';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import type { ProbeReport } from '@rsio/protocol/explorer/probe-report';

export interface DoctorFacts {
  /** The option --root for commands in remedies, such as ` --root /tmp/lab`; '' if the root is /. */
  readonly rootOption: string;
  /** The command that starts rsiod on this machine, such as `systemctl start rsiod`. */
  readonly startCommand: string;
  readonly file: FileFacts;
  readonly machine: MachineFacts;
  readonly silent: readonly SilentAddress[];
  /** Every path that doctor derives from the file or from a server's list of interfaces; at most DOCTOR_PATHS_MAX paths. */
  readonly paths: readonly PathFacts[];
  /** Number of paths that were not tried because of DOCTOR_PATHS_MAX. */
  readonly pathsNotTried: number;
  readonly leftOut: readonly LeftOutFacts[];
  /** Findings from exploration, such as duplicate serverids or rejected answers. */
  readonly explored: readonly Finding[];
  readonly daemon: DaemonFacts;
  readonly volumes: VolumesFacts;
  /** The mirrors as rsiod reports them; null if rsiod did not answer. */
  readonly mirrors: readonly MirrorSummary[] | null;
  readonly system: SystemFacts;
  /** The servers as rsiod reports them; empty if rsiod did not answer. */
  readonly servers: readonly ServerFacts[];
  /** The newest backup of each volume that rsconfig backup has backed up on this machine. */
  /** Empty if the daemon does not answer. */
  readonly gates: readonly GateView[];
  readonly aoeGates: readonly AoeGateView[];
  readonly applications: ApplicationFacts;
  readonly backups: readonly Pick<BackupView, 'namespace' | 'name' | 'universe' | 'atMs'>[];
  readonly upkeep: Upkeep;
  readonly nowMs: number;
  readonly version: string;
}

export interface ServerFacts extends Pick<ServerView, 'name' | 'release' | 'clockOffMs'> {
  readonly sharesVolumes: boolean;
  /** As far as the server shows them to this client. */
  readonly replications: readonly ReplicationView[];
  readonly pools: readonly PoolView[];
  /** What differs from the file of its namespace; null: the server does not tell this client. */
  readonly file: NamespaceShown | null;
}

export interface ApplicationFacts {
  /** What rsapp says; null if it does not answer. */
  readonly answer: ApplicationsView | null;
  /** Units that systemd starts at each boot. */
  readonly enabledUnits: readonly string[];
}

export interface FileFacts {
  readonly path: string;
  /** The parsed file; null if the file could not be read. `trouble` then contains the reason. */
  readonly document: IniDocument | null;
  readonly trouble: { readonly code: string; readonly message: string } | null;
  /** Faults that make the file unusable. Line 0 stands for the file as a whole. */
  readonly problems: readonly { readonly line: number; readonly message: string }[];
  readonly warnings: readonly ConfigWarning[];
  /** The configuration in the file; null if and only if `trouble` is set or `problems` is not empty. */
  readonly config: RscltConfig | null;
  /** Permission bits of the file; null if unknown. */
  readonly mode: number | null;
  readonly modifiedMs: number | null;
}

export interface MachineFacts {
  readonly interfaces: readonly MachineInterface[];
  /**
   * Maps the name of a layered device, such as a VLAN, to the network card below it. A device without an entry is itself a card, or has
   * several cards below it.
   */
  readonly standsOn: Readonly<Record<string, string>>;
  /** Numbers of the routing tables in use. */
  readonly tables: readonly number[];
  /** Maps a device to the IPv4 router through which it reaches other subnets. A device without an entry has no router. */
  readonly routers: Readonly<Record<string, string>>;
}

export interface SilentAddress {
  readonly device: string;
  readonly address: string;
  /** False if the device is down; true if the device is up but has no carrier. */
  readonly isUp: boolean;
}

export interface VolumesFacts {
  /** Volumes whose storage, according to rsiod's events, has failed and has not recovered. */
  readonly failing: readonly { readonly volume: string; readonly sinceMs: number; readonly reason: string }[];
  /** Attached volumes in pools on shared disks, which can move to another server. */
  readonly inSharedPools: readonly { readonly namespace: string; readonly name: string; readonly universe: number }[];
  /** Volumes that may be copies, so that they are not attached, and why (docs/GUARANTEES.md G15). */
  readonly copies: readonly { readonly volume: string; readonly why: string }[];
  /** Mounted file systems on devices whose volume is no longer attached. */
  readonly deadMounts: readonly { readonly mountPoint: string; readonly device: string }[];
}

export interface PathFacts {
  readonly namespace: string;
  readonly nodename: string;
  readonly interface: string;
  readonly local: string;
  readonly section: string;
  readonly address: string;
  readonly port: number;
  /** The kernel's route from `local` to `address`; null if unknown. */
  readonly route: RouteFacts | null;
  /**
   * Errno of the failed connection attempt; ETIMEDOUT if no answer came in time. Null if the attempt succeeded, or if this machine does not
   * have the address `local`.
   */
  readonly unreached: string | null;
  /** Largest packet size that TCP negotiated for rsiod's own connection on this path; null if unknown. */
  readonly tcpMtuBytes: number | null;
  /** The report of the probe; null if the path was not probed. */
  readonly report: ProbeReport | null;
}

export interface RouteFacts {
  /** The device through which the route leaves this machine; null if the kernel has no route. */
  readonly device: string | null;
}

export interface LeftOutFacts {
  readonly namespace: string;
  /** Name of the interface or section that has no path. */
  readonly object: string;
  /** Kind of the object: a local interface, a [server] section, or a server interface that only the server lists. */
  readonly type: 'interface' | 'section' | 'learned';
  readonly address: string;
  readonly reason: string;
}

export interface DaemonFacts {
  readonly socket: string;
  readonly nbdSocket: string;
  /** The error with which the daemon did not answer; null if the daemon answered. */
  readonly trouble: { readonly code: string; readonly message: string } | null;
  readonly view: DaemonView | null;
  readonly status: StatusView | null;
  /** Permission bits of the control socket; null if there is no socket. */
  readonly socketMode: number | null;
  readonly isNbdSocketThere: boolean;
  /** Pid of the process that holds the pid file, even if the process does not answer; null if no process holds the file. */
  readonly livePid: number | null;
  /** Soft limit on the number of files that the daemon may have open; null if unlimited or unknown. */
  readonly openFilesMax: number | null;
}

export interface SystemFacts {
  /** Well-known NBD programs that are installed on this machine. */
  readonly programs: readonly string[];
  readonly hasKernelNbd: boolean;
  /** Largest sizes to which the kernel lets the TCP send and receive buffers grow; null if unknown. */
  readonly sendBufferMaxBytes: number | null;
  readonly receiveBufferMaxBytes: number | null;
  readonly windowScaling: boolean | null;
}
