// THE table of control methods: what one may ask a daemon over RUN/control, and the shape of what comes back.
// One JSON object per line. Request {id, method, params}; answer {id, result} or {id, error: {code, message, context}}.
// rsconfig, crsio, the tests and people with `nc` use the same.

import type { Directions, PathState, PathTotals } from '../lib/path-facts.ts';

export interface PathView extends Directions {
  /** Number in the session, or null while there is none. */
  readonly number: number | null;
  readonly interface: string;
  readonly localAddress: string;
  readonly address: string;
  readonly port: number;
  readonly state: PathState;
  readonly sinceMs: number;
  readonly lastError: string | null;
  readonly lastErrorMs: number | null;
  readonly retries: number;
  readonly roundTripMs: number | null;
}

export interface HolderView {
  readonly node: string;
  readonly address: string;
  readonly sinceMs: number;
}

export interface VolumeView {
  readonly name: string;
  readonly universe: number;
  readonly id: string;
  readonly blocks: number;
  readonly blockSizeBytes: number;
  readonly readonly: boolean;
  readonly shared: boolean;
  readonly holders: readonly HolderView[];
}

export interface ServerView {
  /** Position in order of first appearance in rscltcfg. */
  readonly position: number;
  readonly name: string;
  /** Names of its sections in rscltcfg. */
  readonly sections: readonly string[];
  readonly serverid: number | null;
  readonly instance: string | null;
  readonly state: 'connected' | 'connecting' | 'down';
  readonly addresses: readonly { readonly section: string; readonly address: string; readonly port: number }[];
  readonly limits: { readonly slots: number; readonly windowBytes: number } | null;
  readonly volumes: readonly VolumeView[];
  readonly paths: readonly PathView[];
}

export interface NamespaceView {
  readonly position: number;
  readonly name: string;
  readonly namespaceid: number;
  readonly nodename: string;
  readonly servers: readonly ServerView[];
}

export interface AttachmentView {
  readonly namespace: string;
  readonly name: string;
  readonly universe: number;
  readonly id: string;
  readonly state: 'attached' | 'waiting';
  readonly readonly: boolean;
  readonly blocks: number;
  readonly blockSizeBytes: number;
  /** Servers that offer it. */
  readonly servers: number;
  readonly rawDevice: string | null;
  /** Block node, or the NBD URI where there is none. */
  readonly blockDevice: string;
}

/** One line of `-a` or `-d`. */
export interface AttachOutcome {
  /** `osl:oracle@0`, or the name as it was given when it names nothing. */
  readonly volume: string;
  readonly done: boolean;
  /** It was so already. */
  readonly already: boolean;
  readonly device: string | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface RepView extends PathView {
  /** Position of the remote end point: order of `[server]` sections in rscltcfg. */
  readonly position: number;
  readonly section: string;
}

export interface InterfaceView {
  readonly position: number;
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly reps: readonly RepView[];
}

export interface WaitingView {
  readonly volume: string;
  readonly waitsFor: string;
  readonly sinceMs: number;
  /** null: for ever. */
  readonly untilMs: number | null;
  readonly requests: number;
}

export interface StatusView {
  readonly interfaces: readonly InterfaceView[];
  readonly waiting: readonly WaitingView[];
}

export interface LatencyView {
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

export interface PathStats extends PathTotals {
  readonly interface: string;
  readonly address: string;
  readonly state: PathState;
}

export interface VolumeStats {
  readonly volume: string;
  readonly reads: number;
  readonly readBytes: number;
  readonly writes: number;
  readonly writtenBytes: number;
  readonly flushes: number;
  readonly discards: number;
  readonly zeroes: number;
  readonly errors: number;
  readonly outstanding: number;
  readonly readLatency: LatencyView;
  readonly writeLatency: LatencyView;
  /** Longest time without any completion while something was outstanding. */
  readonly longestGapMs: number;
}

export interface StatsView {
  readonly paths: readonly PathStats[];
  readonly volumes: readonly VolumeStats[];
}

export interface EventView {
  readonly atMs: number;
  readonly object: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

/** One path, measured on a connection of its own. What is null could not be measured: `error` or a remark says why. */
export interface ProbeView {
  readonly interface: string;
  readonly localAddress: string;
  /** Of rscltcfg; of an interface that only the server names: SERVER-INTERFACE. */
  readonly section: string;
  readonly address: string;
  readonly port: number;
  /** Until the TCP connection stood. */
  readonly reachMs: number | null;
  /** From there until both sides had proved themselves. */
  readonly handshakeMs: number | null;
  readonly server: string | null;
  readonly serverid: number | null;
  /** Best of several. */
  readonly roundTripMs: number | null;
  readonly sendBytesPerSecond: number | null;
  readonly receiveBytesPerSecond: number | null;
  /** Largest packet that is known to go through. */
  readonly mtuBytes: number | null;
  /** Device that has the local address. */
  readonly device: string | null;
  /** Device that the bytes really went through. */
  readonly leavesBy: string | null;
  /** Why the path cannot be used. */
  readonly error: { readonly code: string; readonly message: string } | null;
  /** Sentences for people, with remedies. */
  readonly remarks: readonly string[];
}

/** A pair of end points that is no path, with the reason. */
export interface LeftOutView {
  readonly interface: string | null;
  readonly section: string;
  readonly address: string;
  readonly reason: string;
}

export interface DaemonView {
  readonly program: string;
  readonly version: string;
  readonly pid: number;
  readonly nodename: string;
  readonly startedMs: number;
  /** When it read the configuration that it works with. */
  readonly configuredMs: number;
}

export interface ControlMethods {
  daemon: { params: Record<string, never>; result: DaemonView };
  query: { params: { refresh: boolean }; result: { namespaces: readonly NamespaceView[] } };
  local: { params: Record<string, never>; result: { attachments: readonly AttachmentView[] } };
  attach: {
    params: { names: readonly string[]; readOnly: boolean; server: string | null };
    result: { outcomes: readonly AttachOutcome[] };
  };
  detach: { params: { names: readonly string[]; force: boolean }; result: { outcomes: readonly AttachOutcome[] } };
  status: { params: Record<string, never>; result: StatusView };
  stats: { params: Record<string, never>; result: StatsView };
  events: { params: { count: number }; result: { events: readonly EventView[] } };
  /** Reads the configuration file anew. An error says why nothing of it was taken; a sentence for each change that was. */
  reload: { params: Record<string, never>; result: { applied: readonly string[] } };
  /** Measures the paths of an interface (its name or address) to a server interface (its section's name or address); null: of all. */
  probe: {
    params: { interface: string | null; remote: string | null };
    result: { paths: readonly ProbeView[]; leftOut: readonly LeftOutView[] };
  };
}

export type ControlMethodName = keyof ControlMethods;
