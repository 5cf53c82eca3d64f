// The content of the two configuration files, checked and with defaults. Durations are in ms, sizes in bytes.
// schema.ts defines how the files are written; rssrvcfg.ts and rscltcfg.ts read them.

export type StallPolicy = number | 'forever' | 'fail';
export type DeviceChoice = 'auto' | 'block' | 'raw' | 'nbd-socket' | 'none';
/** `configured`: as `auto`, but only with server interfaces that the file names, whatever other ones the servers report. */
export type PathsChoice = 'auto' | 'all' | 'configured';
export type AttachChoice = 'none' | 'all' | readonly string[];

/** A finding about a file that does not stop it from being used. */
export interface ConfigWarning {
  readonly file: string;
  /** 1-based; 0: the file as a whole. */
  readonly line: number;
  readonly message: string;
}

export interface ServerInterfaceConfig {
  readonly name: string;
  readonly address: string;
  /** Prefix length given as `A/LEN`; null: that of the machine's interface with this address. */
  readonly prefixLength: number | null;
  readonly port: number;
}

export interface ServerVolumeConfig {
  readonly name: string;
  readonly type: 'auto' | 'file' | 'block' | 'memory' | 'null';
  readonly path: string | null;
  readonly sizeBytes: number | null;
  readonly blockSizeBytes: 512 | 4096;
  readonly readonly: boolean;
  readonly universe: number;
  /** null: all clients. */
  readonly clients: readonly string[] | null;
  readonly shared: boolean;
  /** Clients that may take it over from another client; null: all that may attach it. */
  readonly takeOver: readonly string[] | null;
  readonly takeOverForce: boolean;
  /** Served even if its file cannot be locked; undefined: no. */
  readonly unlocked?: boolean;
  readonly id: string | null;
  /** Mark of a file or device that has the same content as the one served before; null: none. */
  readonly sameContent: string | null;
  /** Faults to inject into its storage; undefined: none. */
  readonly test?: VolumeTests;
  readonly line: number;
}

export type TestOperation = 'any' | 'read' | 'write' | 'flush' | 'discard' | 'zero';

export interface TestDelay {
  readonly operation: TestOperation;
  readonly minMs: number;
  readonly maxMs: number;
  /** The rule applies while this file exists; null: always. */
  readonly whileFile: string | null;
}

export interface TestError {
  readonly operation: TestOperation;
  /** First and last sector (512 bytes) of the range that the rule applies to; null: the whole volume. */
  readonly sectors: readonly [number, number] | null;
  /** N: every Nth operation that matches the rule fails. */
  readonly every: number;
  readonly errno: string;
  readonly whileFile: string | null;
}

/** The `test-...` keys of a volume. */
export interface VolumeTests {
  readonly delays: readonly TestDelay[];
  readonly errors: readonly TestError[];
  /** While this file exists, all I/O of the volume stalls. */
  readonly pauseFile: string | null;
  readonly bytesPerSecond: number | null;
  readonly losesUnsynced: boolean;
}

export interface ServerClientConfig {
  readonly name: string;
  readonly key: string;
}

export interface RssrvConfig {
  readonly file: string;
  readonly namespace: {
    readonly name: string;
    readonly namespaceid: number;
    /** Of interfaces that name none; where discovery datagrams are answered. */
    readonly port: number;
    readonly namespacekey: string | null;
    readonly explore: 'yes' | 'signed' | 'no';
  };
  readonly server: {
    readonly name: string;
    readonly serverid: number;
    readonly serverkey: string | null;
    readonly logLevel: string;
    /** Server processes at most; more sessions share them. */
    readonly processes: number;
  };
  readonly interfaces: readonly ServerInterfaceConfig[];
  readonly volumes: readonly ServerVolumeConfig[];
  readonly clients: readonly ServerClientConfig[];
  readonly warnings: readonly ConfigWarning[];
}

export interface ClientInterfaceConfig {
  readonly name: string;
  readonly address: string;
  readonly prefixLength: number | null;
  /** For display; targetPort decides the target port of a path. */
  readonly port: number;
  /** The port set in the section itself, or null. */
  readonly portGiven: number | null;
}

/** One `[server]` section: one interface of a server. */
export interface ClientServerConfig {
  readonly name: string;
  readonly address: string;
  /** The port set in the section itself; null: that of the interface, the namespace or the defaults applies (targetPort). */
  readonly port: number | null;
  readonly serverkey: string | null;
  /** Order among all `[server]` sections of the file, from 0. */
  readonly position: number;
}

export interface VolumeOverride {
  readonly name: string;
  readonly stall: StallPolicy | null;
  readonly attach: boolean | null;
  readonly device: DeviceChoice | null;
  readonly logSizeBytes: number | null;
  readonly readonly: boolean | null;
  readonly path: string | null;
}

export interface ClientNamespaceConfig {
  readonly name: string;
  readonly namespaceid: number;
  readonly nodename: string;
  readonly nodekey: string;
  readonly namespacekey: string | null;
  readonly port: number | null;
  readonly stall: StallPolicy;
  readonly attach: AttachChoice;
  readonly device: DeviceChoice;
  readonly paths: PathsChoice;
  readonly heartbeatMs: number;
  readonly suspectMs: number;
  readonly deadMs: number;
  readonly digest: boolean;
  readonly logSizeBytes: number;
  readonly servers: readonly ClientServerConfig[];
  readonly volumes: readonly VolumeOverride[];
}

export interface RscltConfig {
  readonly file: string;
  readonly defaultPort: number | null;
  readonly nbdGroup: string | null;
  readonly logTotalBytes: number;
  readonly interfaces: readonly ClientInterfaceConfig[];
  readonly namespaces: readonly ClientNamespaceConfig[];
  readonly warnings: readonly ConfigWarning[];
}
