// Bodies of the message frames: what they hold. How they become bytes is in message-codec.ts, what may be in a field in guards.ts.
// MessagePack without records; a value that is not exactly of its form is refused with the field's name, never with its content.

/** Feature names. A frame's flags and layouts beyond version 1 exist only when both sides named the feature. */
export interface Hello {
  readonly versions: readonly number[];
  readonly features: readonly string[];
  readonly namespaceid: number;
  readonly node: string;
  /** Only grows, from the client's state directory. */
  readonly instance: number;
  readonly machine: string;
  readonly boot: string;
  /** Made at random by each client process; null: a peer of the first builds. */
  readonly process: string | null;
  readonly interface: string;
  readonly nonce: Uint8Array;
}

export interface Challenge {
  readonly version: number;
  readonly features: readonly string[];
  readonly server: string;
  readonly serverid: number;
  /** New with every start of the listener: 32 hex digits. */
  readonly instance: string;
  readonly nonce: Uint8Array;
}

/** Followed by its macs: 32 bytes, or 64 when it joins a session (auth/handshake-frames.ts). */
export interface Proof {
  /** Session to join, or null for a new one. */
  readonly session: Uint8Array | null;
  /** Numbers of the paths this client holds dead. */
  readonly dead: readonly number[];
}

export interface ServerInterface {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

/** Followed by its mac, 32 bytes. */
export interface Welcome {
  readonly session: Uint8Array;
  readonly path: number;
  readonly slots: number;
  readonly windowBytes: number;
  readonly interfaces: readonly ServerInterface[];
  /** Generation of the server's list (volumes, sizes, interfaces). */
  readonly generation: number;
}

/** BYE, and what REFUSE says. `code` is one of lib/errors.ts, or a newer one, which is shown as it is. */
export interface Farewell {
  readonly code: string;
  readonly sentence: string;
}

/** REFUSE. `mac`: behind a right PROOF, that of the code under K; null: anybody may have said it. */
export interface Refuse extends Farewell {
  readonly mac: Buffer | null;
}

/** PING and PONG. A PONG repeats `number` and `clockMs` of its PING; the other fields are the sender's own. */
export interface Heartbeat {
  readonly number: number;
  readonly clockMs: number;
  /** PINGs heard by the sender on this path. */
  readonly heard: number;
  /** PONG of a server: age of the oldest request being executed, ms; 0: none. */
  readonly oldestMs: number;
  /** Generation of the server's list; 0 from a client. */
  readonly generation: number;
}

/** REVOKE; the handle is the frame's aux. */
export interface Revoke {
  /** Pairs: slot and seq of what was sent on the handle and is given up. */
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
  /** May go on in further frames (flag MORE). */
  readonly volumes: readonly VolumeEntry[];
}

/** What an OPEN may do to another holder (docs/PROTOCOL.md H2, H3). */
export const TAKE = {
  /** Nothing: a held volume is refused. */
  NO: 0,
  /** Its hold ends; refused while it may still have acknowledged writes that only it can bring back. */
  OVER: 1,
  /** Its hold ends, whatever is lost. */
  FORCE: 2,
} as const;

export type Take = (typeof TAKE)[keyof typeof TAKE];

export interface OpenRequest {
  readonly name: string;
  readonly universe: number;
  readonly readonly: boolean;
  readonly take: Take;
  /** Identity under which this client had it open; null: it had not. Another hold than that one is refused TAKEN. */
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
  /** Verifier: storage id and holder's epoch. */
  readonly identity: string;
  /** Verifier: the storage's life. */
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
  /** The client has taken up everything that it had from before: H3 waits for it no longer. */
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

/** Extents from the asked lba on, in order, without gaps; may cover less than asked for, never nothing. */
export interface ExtentsAnswer {
  /** Pairs: sectors, state (EXTENT). */
  readonly extents: readonly number[];
}
