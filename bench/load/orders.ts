// What the load generator is told and what it tells: where the volume is, the connections it inherits, the shape of a load, and figures of
// a window. Plain data, but for the sockets.

import type net from 'node:net';

export interface RsioVolume {
  readonly kind: 'rsio';
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

/** Its handshake is over: the next byte either way is of the data frames. */
export interface OpenConnection {
  readonly socket: net.Socket;
  /** What its dialect must know (native/dialect.h). */
  readonly words: readonly [number, number];
  /** Received already. */
  readonly early: Buffer;
}

/** What each client of a load does. */
export interface LoadShape {
  /** The others are writes. */
  readonly readPercent: number;
  /** once: every block once, in no order that reading ahead foresees. */
  readonly order: 'random' | 'sequential' | 'once';
  readonly blockBytes: number;
  /** Requests out at any time, over all connections of the client. */
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

/** One window, all clients together. Cores: seconds of processor time for each second. */
export interface Measured {
  readonly windowMs: number;
  readonly iops: number;
  readonly bytesPerSecond: number;
  readonly serverCores: number;
  readonly generatorCores: number;
  /** What everything else on the machine used. */
  readonly otherCores: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
}
