// The interface that each protocol of gates implements: the target that hosts see, and the connections that serve hosts. gate.ts has the
// sockets.
// Invariant: the connections of all gates share the pools and the budget.

import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import type { DataBuffers } from '@rsio/rsiod/frontends/streams/data-buffers';
import type { MemoryBudget } from '@rsio/rsiod/frontends/streams/memory-budget';
import type { BatchPool, StreamTransport } from '@rsio/rsiod/frontends/streams/transport';
import type { GateOrder } from '../order/gate-order.ts';
import type { GateNamespace } from './gate-namespace.ts';
import type { HostBudgets } from './host-budgets.ts';

export interface GatePools {
  readonly data: DataBuffers;
  readonly batches: BatchPool;
  readonly budget: MemoryBudget;
  readonly hosts: HostBudgets;
  readonly order: GateOrder;
  /** Calls `fire` once, at the end of the current event-loop turn. */
  readonly schedule: (fire: () => void) => void;
}

/** The volumes of a gate as hosts see them: a subsystem of NVMe, or a target of iSCSI. */
export interface GateTarget {
  readonly namespaces: ReadonlyMap<number, GateNamespace>;
  /** Adds a namespace, or replaces the namespace with the same id, which must belong to the same volume. */
  add(namespace: GateNamespace): void;
  remove(nsid: number): void;
  /** Tells all hosts that a namespace has another size. */
  changed(nsid: number): void;
  /** Tells all hosts that the state of a namespace has changed. */
  anaChanged(nsid: number): void;
  /** Tells all hosts that writes to a namespace that were not synced may be lost. */
  lostWrites(nsid: number): void;
}

/** The parts of a gate that its protocol uses. */
export interface ProtocolPorts {
  /** Name of the target for hosts. */
  readonly name: string;
  readonly version: string;
  /** The configuration in force. */
  config(): ClientGateConfig;
  /** A time that goes on while the machine is suspended. */
  nowMs(): number;
  /** Called with a sentence for the log when a host has logged in or has left. */
  note(sentence: string, host: string): void;
}

/** Events that a connection reports to the gate. */
export interface ConnectionEvents {
  /** The address of the host, or the network that it belongs to. */
  readonly source: string;
  /** The host has logged in and, if it has to, has proven itself. `host`: its name; null for a discovery login. */
  proven(host: string | null): void;
  /** Called with a sentence when a host was not let in. */
  refused(sentence: string): void;
  /** The connection is closed unread, because its host may have given its path up (rule D1). */
  cut(): void;
  /** Called when the connection is closed, with the reason. */
  closing(why: string): void;
  failed(thrown: unknown): void;
  /** Called once, when the connection is closed and neither a volume nor the socket uses its memory any more. */
  finished(): void;
}

export interface GateConnection {
  /** Commands that have arrived. */
  readonly taken: number;
  /** The number of commands that wait for memory, and the time for which the first of them has been the first. */
  readonly watch: { readonly waits: number; readonly waitedMs: number };
  receive(bytes: Buffer, start: number, end: number): void;
  close(why: string): void;
  /** Called when the socket has been closed. */
  closed(): void;
  tick(nowMs: number): void;
}

export interface GateProtocol {
  readonly target: GateTarget;
  /** `admits` returns whether TLS has proven that this host may log in to this target. */
  connect(transport: StreamTransport, events: ConnectionEvents, admits: (target: string, host: string) => boolean): GateConnection;
  /** The configuration has changed; ends logins that it no longer allows. */
  changed(before: ClientGateConfig): void;
  tick(): void;
}
