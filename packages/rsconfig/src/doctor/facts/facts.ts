// The facts that doctor judges: the file, the machine, each tried path, the daemon. gather.ts collects them, and checks/ judges them.
// Invariant: plain data; an unknown fact is null, and a check does not judge what is unknown.

import type { IniDocument } from '@rsio/common/config/ini/ini-document';
import type { ConfigWarning, RscltConfig } from '@rsio/common/config/schema/types';
import type { DaemonView, StatusView } from '@rsio/common/control/methods';
import type { Finding } from '@rsio/protocol/explorer/discovery/finding';
import type { MachineInterface } from '@rsio/protocol/explorer/network/interfaces';
import type { ProbeReport } from '@rsio/protocol/explorer/probe/probe-report';

export interface DoctorFacts {
  /** ` --root /tmp/lab`, for commands in remedies; '' for the real root. */
  readonly rootOption: string;
  /** The command that starts rsiod on this machine, such as `systemctl start rsiod`. */
  readonly startCommand: string;
  readonly file: FileFacts;
  readonly machine: MachineFacts;
  /** Addresses on devices that are down or have no carrier. */
  readonly silent: readonly SilentAddress[];
  /** Every pair that is a path according to the file or to a server's own list, at most DOCTOR_PATHS_MAX. */
  readonly paths: readonly PathFacts[];
  /** Number of pairs that were not tried because of DOCTOR_PATHS_MAX. */
  readonly pathsNotTried: number;
  readonly leftOut: readonly LeftOutFacts[];
  /** Findings of exploration: duplicate serverids, rejected answers, and so on. */
  readonly explored: readonly Finding[];
  readonly daemon: DaemonFacts;
  readonly volumes: VolumesFacts;
  readonly system: SystemFacts;
  /** Version of rsconfig. */
  readonly version: string;
}

export interface FileFacts {
  readonly path: string;
  /** null: the file could not be read, and `trouble` has the reason. */
  readonly document: IniDocument | null;
  readonly trouble: { readonly code: string; readonly message: string } | null;
  /** Faults that make the file unusable. Line 0 stands for the file as a whole. */
  readonly problems: readonly { readonly line: number; readonly message: string }[];
  readonly warnings: readonly ConfigWarning[];
  /** null exactly if `trouble` is set or `problems` is not empty. */
  readonly config: RscltConfig | null;
  /** Permission bits; null: unknown. */
  readonly mode: number | null;
  readonly modifiedMs: number | null;
}

export interface MachineFacts {
  readonly interfaces: readonly MachineInterface[];
  /**
   * The card below each device, such as a VLAN, by name of the device. A device without an entry is a card itself, or has several cards.
   */
  readonly standsOn: Readonly<Record<string, string>>;
  /** Numbers of the routing tables in use. */
  readonly tables: readonly number[];
  /** The IPv4 router to other subnets, by name of the device. A device without an entry has no router. */
  readonly routers: Readonly<Record<string, string>>;
}

export interface SilentAddress {
  readonly device: string;
  readonly address: string;
  /** false: the device is down. */
  readonly isUp: boolean;
}

export interface VolumesFacts {
  /** Volumes whose storage failed according to rsiod's events and has not recovered. */
  readonly failing: readonly { readonly volume: string; readonly sinceMs: number; readonly reason: string }[];
  /** File systems on devices whose volume is no longer attached. */
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
  /** The kernel's route from `local` to `address`; null: unknown. */
  readonly route: RouteFacts | null;
  /** Errno of the attempt to connect (ETIMEDOUT: no answer in time); null: connected, or not tried because this machine lacks `local`. */
  readonly unreached: string | null;
  /** Largest packet that TCP agreed on in rsiod's own connection; null: unknown. */
  readonly tcpMtuBytes: number | null;
  /** The report of the probe; null: the path was not probed. */
  readonly report: ProbeReport | null;
}

export interface RouteFacts {
  /** The device that the route leaves by; null: there is no route. */
  readonly device: string | null;
}

export interface LeftOutFacts {
  readonly namespace: string;
  /** Name of the interface or section without a path. */
  readonly object: string;
  /** A local interface, a [server] section, or a server interface that only the server lists. */
  readonly type: 'interface' | 'section' | 'learned';
  readonly address: string;
  readonly reason: string;
}

export interface DaemonFacts {
  readonly socket: string;
  readonly nbdSocket: string;
  /** Why the daemon did not answer; null: it answered. */
  readonly trouble: { readonly code: string; readonly message: string } | null;
  readonly view: DaemonView | null;
  readonly status: StatusView | null;
  /** Permission bits of the control socket; null: there is no socket. */
  readonly socketMode: number | null;
  readonly isNbdSocketThere: boolean;
  /** The process that holds the pid file, even if it does not answer; null: none. */
  readonly livePid: number | null;
  /** Soft limit of the daemon's open files; null: unlimited or unknown. */
  readonly openFilesMax: number | null;
}

export interface SystemFacts {
  /** Installed programs that can use an NBD frontend, of those that doctor knows. */
  readonly programs: readonly string[];
  /** Whether the kernel has NBD block devices. */
  readonly hasKernelNbd: boolean;
  /** Largest automatic TCP send and receive buffers; null: unknown. */
  readonly sendBufferMaxBytes: number | null;
  readonly receiveBufferMaxBytes: number | null;
  readonly windowScaling: boolean | null;
}
