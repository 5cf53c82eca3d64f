// The interface to the load generator: where the volume is, the connections that the generator inherits, the shape of a load, and the
// figures of a window. Plain data, except for the sockets.

import type net from 'node:net';

export interface SharedKey {
  readonly identity: string;
  readonly psk: Buffer;
}

export interface RsioVolume {
  readonly kind: 'rsio';
  /** How frames are protected after the handshake; default: not at all. */
  readonly protection?: 'digest' | 'tls';
  readonly namespaceid: number;
  /** Names of nodes, one for each client. */
  readonly nodes: readonly string[];
  readonly nodekey: string;
  /** Volumes of the same size that make up the file in this order; each session opens every volume. */
  readonly volumes: readonly string[];
}

export interface NbdVolume {
  readonly kind: 'nbd';
  readonly export: string;
  /** Further exports. The connections use `export` and these exports in rotation. */
  readonly others?: readonly string[];
  /** Key for TLS, if the server requires TLS. */
  readonly tls?: SharedKey;
}

export interface IscsiVolume {
  readonly kind: 'iscsi';
  readonly target: string;
  /** Largest write of the load in bytes: its data travels with the command. Default: 1 MiB. */
  readonly writeBytes?: number;
}

export interface NvmeVolume {
  readonly kind: 'nvme';
  /** Name of the subsystem, whose namespace 1 has blocks of 512 bytes. */
  readonly nqn: string;
}

export interface Place {
  /** Address, or the path of a Unix socket. */
  readonly host: string;
  /** TCP port; null: `host` is a Unix socket. */
  readonly port: number | null;
}

export interface Target extends Place {
  readonly volume: RsioVolume | NbdVolume | IscsiVolume | NvmeVolume;
}

/** A connection after its handshake: the next byte in each direction belongs to a data frame. */
export interface OpenConnection {
  readonly socket: net.Socket;
  /** Data for the dialect of the connection (native/dialect.h). */
  readonly words: readonly [number, number];
  /** Bytes that were already received. */
  readonly early: Buffer;
}

export interface LoadShape {
  /** Percentage of READs; all other requests are WRITEs. */
  readonly readPercent: number;
  /** `once`: every block once, in an order that read-ahead cannot predict. */
  readonly order: 'random' | 'sequential' | 'once';
  readonly blockBytes: number;
  /** Requests in flight at any time, over all connections of the client. */
  readonly depth: number;
}

export interface Window {
  /** Time of load before the window, for caches and compilers at both ends. */
  readonly warmUpMs: number;
  readonly windowMs: number;
}

/** Number of a step of `Latencies`, and the number of requests in this step. */
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
  /** CPU time of all other processes of the machine. */
  readonly otherCores: number;
  /** Calls of read and write of the server's processes, per second. */
  readonly callsPerSecond?: number;
  /** Bytes that the server read from the disk divided by the bytes of its answers: 1 if the cache answered no read. */
  readonly diskShare?: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
}
