// The ports through which the client's part of crsio uses the machine: the configuration file, interfaces, the network, rsiod and rsapp. Tests
// supply their own ports. Invariant: the client's part reaches files and sockets only through these ports.

import type { FileFingerprint } from '@rsio/common/config/config-file';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import type { AppCall } from '@rsio/api/rsapp/app-methods';
import type { ControlMethodName, ControlMethods } from '@rsio/api/rsiod/methods';
import type { Clock } from '@rsio/base/lib/clock';
import type { Exploration, FoundServer } from '@rsio/protocol/explorer/exploration';
import type { Finding } from '@rsio/protocol/explorer/finding';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import type { Examination, ProbeReport } from '@rsio/protocol/explorer/probe-report';

/** The configuration file, as last read or written. */
export interface StoredFile {
  readonly text: string;
  /** Fingerprint of the file; null if the file does not exist. */
  readonly fingerprint: FileFingerprint | null;
}

/** Parameters of an exploration. If `address` is not null, the exploration also sends requests directly to this address. */
export interface ExploreRequest {
  readonly address: string | null;
  /** UDP port to explore; if null, the port in [defaults] is used. */
  readonly port: number | null;
  readonly namespacekey: string | null;
}

export type IdentifiedServer = { readonly server: FoundServer } | { readonly finding: Finding };

/** Called after each pair of interfaces has been tried. */
type OnReport = (report: ProbeReport, done: number, total: number) => void;

export interface Ports {
  readonly clock: Clock;
  /** Throws E_RIGHTS, E_CONFIG, E_SYSTEM. */
  readFile(): StoredFile;
  /** Throws E_CHANGED if another program has changed the file. Also throws the errors of readFile(). */
  saveFile(text: string, before: FileFingerprint | null): StoredFile;
  machine(): readonly MachineInterface[];
  explore(config: RscltConfig, request: ExploreRequest, onFound: (server: FoundServer) => void): Promise<Exploration>;
  /** Explores the network for the servers of `namespace`, which must be in the configuration file. */
  exploreNamespace(config: RscltConfig, namespace: string, addresses: readonly string[]): Promise<Exploration>;
  identify(config: RscltConfig, namespace: string, address: string): Promise<IdentifiedServer>;
  /** Probes every candidate pair of a client interface and a server interface. */
  examine(config: RscltConfig, namespace: string, server: FoundServer, onReport: OnReport): Promise<Examination>;
  readonly callApp: AppCall;
  call<M extends ControlMethodName>(method: M, params: ControlMethods[M]['params']): Promise<ControlMethods[M]['result']>;
  /** Returns an id for a request that must not be executed twice. */
  newId(): string;
  /** Throws E_SYSTEM if rsiod does not start. */
  startDaemon(): Promise<void>;
}
