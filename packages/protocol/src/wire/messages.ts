// The fields of the bodies of message frames. message-codec.ts encodes and decodes them, guards.ts defines the allowed values. The bodies
// are MessagePack without records. A value that does not have exactly the required form is refused; the error names the field, never its
// content.

/** HELLO. Flags and layouts of frames beyond version 1 exist only if both sides named their feature. */
export interface Hello {
  readonly versions: readonly number[];
  readonly features: readonly string[];
  readonly namespaceid: number;
  readonly node: string;
  /** Number from the client's state directory. It never decreases. */
  readonly instance: number;
  readonly machine: string;
  readonly boot: string;
  /** Random id of the client process; null if the peer is one of the first builds. */
  readonly process: string | null;
  readonly interface: string;
  readonly nonce: Uint8Array;
}

export interface Challenge {
  readonly version: number;
  readonly features: readonly string[];
  readonly server: string;
  readonly serverid: number;
  /** New at every start of the listener: 32 hex digits. */
  readonly instance: string;
  readonly nonce: Uint8Array;
}

/** PROOF. Its macs follow: 32 bytes, or 64 if it joins a session (auth/handshake-frames.ts). */
export interface Proof {
  /** The session to join; null to start a new one. */
  readonly session: Uint8Array | null;
  /** Numbers of the paths that this client considers dead. */
  readonly dead: readonly number[];
}

export interface ServerInterface {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

/** WELCOME. Its mac follows, 32 bytes. */
export interface Welcome {
  readonly session: Uint8Array;
  readonly path: number;
  readonly slots: number;
  readonly windowBytes: number;
  readonly interfaces: readonly ServerInterface[];
  /** Generation of the server's list (volumes, sizes, interfaces). */
  readonly generation: number;
}

/** BYE, and the text of REFUSE. `code` is a code of lib/errors.ts, or a newer one, which is displayed unchanged. */
export interface Farewell {
  readonly code: string;
  readonly sentence: string;
}

/** REFUSE. `mac`: after a valid PROOF, the mac of the code under K; null if the sender is not authenticated. */
export interface Refuse extends Farewell {
  readonly mac: Buffer | null;
}

/** PING and PONG. A PONG repeats `number` and `clockMs` of its PING; the other fields are about its sender. */
export interface Heartbeat {
  readonly number: number;
  readonly clockMs: number;
  /** Number of PINGs that the sender has received on this path. */
  readonly heard: number;
  /** In a PONG from a server: age of the oldest request that is being executed, in ms; 0 if there is none. */
  readonly oldestMs: number;
  /** Generation of the server's list; 0 from a client. */
  readonly generation: number;
}

/** REVOKE; the handle is the aux number of the frame. */
export interface Revoke {
  /** Pairs of slot and seq: the abandoned requests of the handle. */
  readonly tags: readonly number[];
}

export interface Holder {
  readonly node: string;
  readonly address: string;
  readonly sinceMs: number;
}

export interface VolumeEntry {
  readonly name: string;
  readonly id: string;
  readonly universe: number;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly readonly: boolean;
  readonly shared: boolean;
  readonly holders: readonly Holder[];
}

export interface ListAnswer {
  readonly generation: number;
  readonly interfaces: readonly ServerInterface[];
  /** May continue in further frames (flag MORE). */
  readonly volumes: readonly VolumeEntry[];
}

/** How an OPEN treats another client's hold (docs/PROTOCOL.md H2, H3). */
export const TAKE = {
  /** A held volume is refused. */
  NO: 0,
  /** The hold ends. Refused while the holder may still have acknowledged writes that only it can send again. */
  OVER: 1,
  /** The hold ends, even if acknowledged writes are lost. */
  FORCE: 2,
} as const;

export type Take = (typeof TAKE)[keyof typeof TAKE];

export interface OpenRequest {
  readonly name: string;
  readonly universe: number;
  readonly readonly: boolean;
  readonly take: Take;
  /**
   * Identity under which this client had the volume open; null if it did not. If another hold has replaced the client's hold, the answer is
   * TAKEN.
   */
  readonly resume: string | null;
}

export interface OpenAnswer {
  readonly handle: number;
  readonly id: string;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly readonly: boolean;
  readonly shared: boolean;
  readonly canDiscard: boolean;
  /** Verifier: storage id and epoch of the hold. */
  readonly identity: string;
  /** Verifier: incarnation of the storage. */
  readonly life: string;
}

/** Body of an answer whose status is not OK (LIST, OPEN, CLOSE, IOCTL). */
export interface FailureAnswer {
  readonly sentence: string;
  readonly holders: readonly Holder[];
}

export const IOCTL = {
  /** Answer: IdentifyAnswer. */
  IDENTIFY: 1,
  /** Request: ExtentsRequest; answer: ExtentsAnswer. */
  EXTENTS: 2,
  /** The client has recovered all earlier requests: H3 no longer waits for this client. */
  SETTLED: 3,
} as const;

export interface IdentifyAnswer {
  readonly name: string;
  readonly id: string;
  readonly type: string;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly readonly: boolean;
  readonly canDiscard: boolean;
  readonly canExtents: boolean;
}

export interface ExtentsRequest {
  readonly lba: number;
  readonly sectors: number;
}

export const EXTENT = { DATA: 0, HOLE: 1 } as const;

/** Extents from the requested lba on, in order, without gaps. They may cover less than requested, but are never empty. */
export interface ExtentsAnswer {
  /** Pairs: sectors, state (EXTENT). */
  readonly extents: readonly number[];
}
