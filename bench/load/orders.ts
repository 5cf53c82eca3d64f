// The interface to the load generator: where the volume is, the connections it inherits, the shape of a load, and the figures of a window. Plain
// data, except for the sockets.

import type net from 'node:net';

/** What both ends of a TLS connection share. */
export interface SharedKey {
  readonly identity: string;
  readonly psk: Buffer;
}

export interface RsioVolume {
  readonly kind: 'rsio';
  /** How frames are protected after the handshake; default: not at all. */
  readonly protection?: 'digest' | 'tls';
  readonly namespaceid: number;
  /** One for each client. */
  readonly nodes: readonly string[];
  readonly nodekey: string;
  /** The file in pieces of one size, one behind the other; all of them are opened. */
  readonly volumes: readonly string[];
}

export interface NbdVolume {
  readonly kind: 'nbd';
  readonly export: string;
  /** The connections open this and the others in turn. */
  readonly others?: readonly string[];
  /** With TLS, which the server requires. */
  readonly tls?: SharedKey;
}

export interface IscsiVolume {
  readonly kind: 'iscsi';
  /** Its name. */
  readonly target: string;
}

export interface Place {
  /** An address; of a Unix socket its path. */
  readonly host: string;
  /** null: a Unix socket. */
  readonly port: number | null;
}

export interface Target extends Place {
  readonly volume: RsioVolume | NbdVolume | IscsiVolume;
}

/** Its handshake is over: the next byte in each direction belongs to a data frame. */
export interface OpenConnection {
  readonly socket: net.Socket;
  /** Data for its dialect (native/dialect.h). */
  readonly words: readonly [number, number];
  /** Received already. */
  readonly early: Buffer;
}

/** What each client of a load does. */
export interface LoadShape {
  /** The others are writes. */
  readonly readPercent: number;
  /** once: every block once, in an order that read-ahead cannot predict. */
  readonly order: 'random' | 'sequential' | 'once';
  readonly blockBytes: number;
  /** Requests in flight at any time, over all connections of the client. */
  readonly depth: number;
}

export interface Window {
  /** Load before it, for caches and compilers on both sides. */
  readonly warmUpMs: number;
  readonly windowMs: number;
}

/** Number of a step of `Latencies`, and how many requests took so long. */
export type LatencyCounts = readonly (readonly [number, number])[];

/** What one generator counted in its window. */
export interface LoadFigures {
  readonly requests: number;
  readonly bytes: number;
  readonly windowNs: number;
  readonly cpuNs: number;
  readonly slowestNs: number;
  readonly histogram: LatencyCounts;
}

/** One window, all clients together. Cores: CPU seconds per second. */
export interface Measured {
  readonly windowMs: number;
  readonly iops: number;
  readonly bytesPerSecond: number;
  readonly serverCores: number;
  readonly generatorCores: number;
  /** CPU time of everything else on the machine. */
  readonly otherCores: number;
  /** Bytes that the server read from the disk, beside those that it gave: 1 if no read was answered from the cache. */
  readonly diskShare?: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
}
