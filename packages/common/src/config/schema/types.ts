// What the two configuration files say, checked and with defaults filled in. Durations in ms, sizes in bytes.
// How the files are written is in schema.ts, how they are read in rssrvcfg.ts and rscltcfg.ts.

export type StallPolicy = number | 'forever' | 'fail';
export type DeviceChoice = 'auto' | 'block' | 'raw' | 'nbd-socket' | 'kernel-nbd' | 'none';
/** `configured`: as `auto`, but only server interfaces that the file names, whatever servers say of others. */
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
  /** Prefix length given as `A/LEN`, or null: that of the interface which has the address. */
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
  /** Who may take it over from another client; null: all who may attach it. */
  readonly takeOver: readonly string[] | null;
  readonly takeOverForce: boolean;
  /** Served also where its file cannot be locked; none: no. */
  readonly unlocked?: boolean;
  readonly id: string | null;
  /** The stamp of a file or device that has the content of the one which was served before it; null: none is said to. */
  readonly sameContent: string | null;
  /** Faults that its storage is to show; none: a volume like any other. */
  readonly test?: VolumeTests;
  readonly line: number;
}

export type TestOperation = 'any' | 'read' | 'write' | 'flush' | 'discard' | 'zero';

export interface TestDelay {
  readonly operation: TestOperation;
  readonly minMs: number;
  readonly maxMs: number;
  /** It holds while this file is there; null: always. */
  readonly whileFile: string | null;
}

export interface TestError {
  readonly operation: TestOperation;
  /** First and last sector of 512 bytes that it is met at; null: anywhere. */
  readonly sectors: readonly [number, number] | null;
  /** Each so-manieth of those that it is met by. */
  readonly every: number;
  readonly errno: string;
  readonly whileFile: string | null;
}

/** What the `test-...` keys of a volume say. */
export interface VolumeTests {
  readonly delays: readonly TestDelay[];
  readonly errors: readonly TestError[];
  /** While this file is there, all I/O stands still. */
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
  /** For display; the target port of a path is decided by targetPort. */
  readonly port: number;
  /** Set in the section itself, or null. */
  readonly portGiven: number | null;
}

/** One `[server]` section: one interface of a server. */
export interface ClientServerConfig {
  readonly name: string;
  readonly address: string;
  /** Set in the section itself; null: the interface's, namespace's or default port decides (targetPort). */
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
