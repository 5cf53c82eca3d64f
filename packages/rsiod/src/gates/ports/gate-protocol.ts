// What makes a protocol one of a gate: the target that hosts see, and the connections that serve them. gate.ts has the sockets.
// Invariant: the connections of all gates share the pools and the budget.

import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import type { DataBuffers } from '../../frontends/streams/data-buffers.ts';
import type { MemoryBudget } from '../../frontends/streams/memory-budget.ts';
import type { BatchPool, StreamTransport } from '../../frontends/streams/transport.ts';
import type { GateNamespace } from './gate-namespace.ts';
import type { HostBudgets } from './host-budgets.ts';

export interface GatePools {
  readonly data: DataBuffers;
  readonly batches: BatchPool;
  readonly budget: MemoryBudget;
  readonly hosts: HostBudgets;
  /** Calls `fire` once, at the end of the current event-loop turn. */
  readonly schedule: (fire: () => void) => void;
}

/** The volumes of a gate as hosts see them: a subsystem of NVMe, or a target of iSCSI. */
export interface GateTarget {
  readonly namespaces: ReadonlyMap<number, GateNamespace>;
  /** Adds a namespace, or replaces that of the same id, which must be of the same volume. */
  add(namespace: GateNamespace): void;
  remove(nsid: number): void;
  /** Tells all hosts that a namespace has another size. */
  changed(nsid: number): void;
  /** Tells all hosts that the state of a namespace has changed. */
  anaChanged(nsid: number): void;
  /** Tells all hosts that writes of a namespace may be lost that were not synced. */
  lostWrites(nsid: number): void;
}

/** What the protocol of a gate uses of it. */
export interface ProtocolPorts {
  /** Name of the target for hosts. */
  readonly name: string;
  readonly version: string;
  /** The configuration in force. */
  config(): ClientGateConfig;
  nowMs(): number;
  /** Called when a host has logged in or has left, with a sentence. */
  note(sentence: string): void;
}

/** What a connection tells the gate. */
export interface ConnectionEvents {
  /** The host has logged in, and has proven itself if it has to. `host`: its name; null if it only looks for targets. */
  proven(host: string | null): void;
  /** A host was not let in, with a sentence. */
  refused(sentence: string): void;
  /** Returns true if the process has just stood still; all connections are then closed (rule D1). */
  stoodStill(): boolean;
  /** Called when the connection is closed, with the reason. */
  closing(why: string): void;
  failed(thrown: unknown): void;
  /** Called once, when the connection is closed and neither a volume nor the socket uses anything of it. */
  finished(): void;
}

export interface GateConnection {
  /** Commands that have arrived. */
  readonly taken: number;
  /** Commands that wait for memory, and for how long the first of them has been the first. */
  readonly watch: { readonly waits: number; readonly waitedMs: number };
  receive(bytes: Buffer, start: number, end: number): void;
  close(why: string): void;
  /** Called when the socket has been closed. */
  closed(): void;
  tick(nowMs: number): void;
}

export interface GateProtocol {
  readonly target: GateTarget;
  /** Logins of hosts that are there. */
  readonly logins: number;
  /** `admits`: whether TLS has proven the host with this name for the target with this name. */
  connect(transport: StreamTransport, events: ConnectionEvents, admits: (target: string, host: string) => boolean): GateConnection;
  /** The configuration has changed: logins that it does not allow any more are ended. */
  changed(before: ClientGateConfig): void;
  tick(): void;
}
