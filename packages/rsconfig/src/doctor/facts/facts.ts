// What doctor knows before it judges: the file, the machine, each path as it was tried, the daemon. Gathered by gather.ts, judged by
// checks/. Invariant: plain data; what could not be found out is null, and a check says nothing of what it does not know.

import type { IniDocument } from '@rsio/common/config/ini/ini-document';
import type { ConfigWarning, RscltConfig } from '@rsio/common/config/schema/types';
import type { DaemonView, StatusView } from '@rsio/common/control/methods';
import type { Finding } from '@rsio/protocol/explorer/discovery/finding';
import type { MachineInterface } from '@rsio/protocol/explorer/network/interfaces';
import type { ProbeReport } from '@rsio/protocol/explorer/probe/probe-report';

export interface DoctorFacts {
  /** ` --root /tmp/lab`, to stand behind a program in a command; '' for the real root. */
  readonly rootOption: string;
  /** What starts rsiod on this machine, such as `systemctl start rsiod`. */
  readonly startCommand: string;
  readonly file: FileFacts;
  readonly machine: MachineFacts;
  /** Addresses that are set on a device which does not run. */
  readonly silent: readonly SilentAddress[];
  /** Every pair that the file, or what a server says of itself, makes a path of, up to DOCTOR_PATHS_MAX. */
  readonly paths: readonly PathFacts[];
  /** Pairs past that bound. */
  readonly pathsNotTried: number;
  readonly leftOut: readonly LeftOutFacts[];
  /** Servers that answered exploration with an id that another one has too, answers that were not believed, and so on. */
  readonly explored: readonly Finding[];
  readonly daemon: DaemonFacts;
  readonly volumes: VolumesFacts;
  readonly system: SystemFacts;
  /** Of rsconfig itself. */
  readonly version: string;
}

export interface FileFacts {
  readonly path: string;
  /** null: it could not be read at all; `trouble` says why. */
  readonly document: IniDocument | null;
  readonly trouble: { readonly code: string; readonly message: string } | null;
  /** What makes the file useless; empty: it is right. Line 0: the file as a whole. */
  readonly problems: readonly { readonly line: number; readonly message: string }[];
  readonly warnings: readonly ConfigWarning[];
  /** null exactly when there is trouble or a problem. */
  readonly config: RscltConfig | null;
  /** Permission bits; null: not known. */
  readonly mode: number | null;
  readonly modifiedMs: number | null;
}

export interface MachineFacts {
  readonly interfaces: readonly MachineInterface[];
  /** The card that a device such as a VLAN stands on, by its name; a device without an entry is a card itself, or stands on several. */
  readonly standsOn: Readonly<Record<string, string>>;
  /** Numbers of routing tables that are in use. */
  readonly tables: readonly number[];
  /** The router by which a device leads to other subnets, IPv4; a device without an entry has none that the kernel knows. */
  readonly routers: Readonly<Record<string, string>>;
}

export interface SilentAddress {
  readonly device: string;
  readonly address: string;
  /** false: the device is down. */
  readonly isUp: boolean;
}

export interface VolumesFacts {
  /** Their storage fails, as rsiod's events say, and has not worked since. */
  readonly failing: readonly { readonly volume: string; readonly sinceMs: number; readonly reason: string }[];
  /** File systems on devices whose volume is not attached any more. */
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
  /** Which way the kernel sends what goes from `local` to `address`; null: it did not say. */
  readonly route: RouteFacts | null;
  /** Errno of connecting (ETIMEDOUT: no answer in time); null: it connected, or was not tried because this machine lacks `local`. */
  readonly unreached: string | null;
  /** Largest packet that the other end of rsiod's own connection takes, as TCP has agreed on; null: not known. */
  readonly tcpMtuBytes: number | null;
  /** null: not probed. */
  readonly report: ProbeReport | null;
}

export interface RouteFacts {
  /** null: there is none. */
  readonly device: string | null;
}

export interface LeftOutFacts {
  readonly namespace: string;
  /** Name of what has no path. */
  readonly object: string;
  /** Of this machine, a [server] section, or an interface that only its server names. */
  readonly type: 'interface' | 'section' | 'learned';
  readonly address: string;
  readonly reason: string;
}

export interface DaemonFacts {
  readonly socket: string;
  readonly nbdSocket: string;
  /** null: it answered; else why not. */
  readonly trouble: { readonly code: string; readonly message: string } | null;
  readonly view: DaemonView | null;
  readonly status: StatusView | null;
  /** Permission bits of the control socket; null: there is none. */
  readonly socketMode: number | null;
  readonly isNbdSocketThere: boolean;
  /** The process that holds its pid file, whether it answers or not; null: none does. */
  readonly livePid: number | null;
  /** Most files it may have open, soft limit; null: not known. */
  readonly openFilesMax: number | null;
}

export interface SystemFacts {
  /** Programs that can use a volume's door, of those that doctor knows. */
  readonly programs: readonly string[];
  /** Kernel block devices for NBD are there. */
  readonly hasKernelNbd: boolean;
  /** Largest send and receive buffers that TCP takes by itself; null: not known. */
  readonly sendBufferMaxBytes: number | null;
  readonly receiveBufferMaxBytes: number | null;
  readonly windowScaling: boolean | null;
}
