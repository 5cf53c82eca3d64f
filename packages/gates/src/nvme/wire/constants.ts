// Numbers of NVMe over TCP: PDU types, opcodes, status codes, offsets of fields. The names follow the specifications: NVMe Base 2.0 (2.3 for
// cross-controller resets), NVM Command Set 1.0, NVMe/TCP 1.0. Invariant: a number of the wire is in this file and nowhere else.

export const PDU = {
  IC_REQ: 0x00,
  IC_RESP: 0x01,
  H2C_TERM: 0x02,
  C2H_TERM: 0x03,
  CAPSULE_CMD: 0x04,
  CAPSULE_RESP: 0x05,
  H2C_DATA: 0x06,
  C2H_DATA: 0x07,
  R2T: 0x09,
} as const;

export const PDU_FLAG = { HDGST: 0x01, DDGST: 0x02, LAST: 0x04, SUCCESS: 0x08 } as const;

/** Length of the header of each PDU that a host sends, without the header digest. */
export const HEADER_BYTES = { common: 8, ic: 128, term: 24, capsuleCmd: 72, capsuleResp: 24, data: 24, r2t: 24 } as const;
export const DIGEST_BYTES = 4;
export const SQE_BYTES = 64;
/** A termination PDU contains at most this many bytes of the header that caused it. */
export const TERM_DATA_MAX_BYTES = 128;

/** FES: why a connection is terminated. */
export const FATAL = {
  INVALID_HEADER: 0x01,
  SEQUENCE: 0x02,
  HEADER_DIGEST: 0x03,
  DATA_OUT_OF_RANGE: 0x04,
  DATA_LIMIT: 0x05,
  UNSUPPORTED: 0x06,
} as const;

export const ADMIN = {
  GET_LOG_PAGE: 0x02,
  IDENTIFY: 0x06,
  ABORT: 0x08,
  SET_FEATURES: 0x09,
  GET_FEATURES: 0x0a,
  ASYNC_EVENT: 0x0c,
  KEEP_ALIVE: 0x18,
  CROSS_RESET: 0x38,
  FABRICS: 0x7f,
} as const;

export const FABRICS = { PROPERTY_SET: 0x00, CONNECT: 0x01, PROPERTY_GET: 0x04, AUTH_SEND: 0x05, AUTH_RECEIVE: 0x06 } as const;

export const IO = {
  FLUSH: 0x00,
  WRITE: 0x01,
  READ: 0x02,
  COMPARE: 0x05,
  WRITE_ZEROES: 0x08,
  DATASET_MANAGEMENT: 0x09,
  VERIFY: 0x0c,
  RESERVATION_REGISTER: 0x0d,
  RESERVATION_REPORT: 0x0e,
  RESERVATION_ACQUIRE: 0x11,
  RESERVATION_RELEASE: 0x15,
} as const;

/** Status code type in bits 8 to 10, status code in bits 0 to 7. DNR, "do not retry", is a flag of its own. */
export const CODE = {
  OK: 0x000,
  INVALID_OPCODE: 0x001,
  INVALID_FIELD: 0x002,
  INTERNAL_ERROR: 0x006,
  ABORT_REQUESTED: 0x007,
  FAILED_FUSED: 0x009,
  MISSING_FUSED: 0x00a,
  INVALID_NAMESPACE: 0x00b,
  SEQUENCE_ERROR: 0x00c,
  SGL_LENGTH: 0x00f,
  SGL_TYPE: 0x011,
  ATOMIC_UNIT_EXCEEDED: 0x014,
  HOST_ID_FORMAT: 0x018,
  WRITE_PROTECTED: 0x020,
  COMMAND_INTERRUPTED: 0x021,
  TRANSIENT_TRANSPORT: 0x022,
  LBA_OUT_OF_RANGE: 0x080,
  CAPACITY_EXCEEDED: 0x081,
  RESERVATION_CONFLICT: 0x083,
  // Command specific.
  INVALID_LOG_PAGE: 0x109,
  TOO_MANY_ASYNC_EVENTS: 0x105,
  FEATURE_NOT_SAVEABLE: 0x10d,
  FEATURE_NOT_CHANGEABLE: 0x10e,
  INVALID_CONTROLLER: 0x11f,
  CROSS_RESET_IN_PROGRESS: 0x13f,
  CROSS_RESET_LOG_FULL: 0x140,
  CROSS_RESET_LIMIT: 0x141,
  CONNECT_FORMAT: 0x180,
  CONNECT_BUSY: 0x181,
  CONNECT_PARAMETERS: 0x182,
  CONNECT_HOST: 0x184,
  AUTH_REQUIRED: 0x191,
  // Codes of the path; the host may use another path.
  ANA_INACCESSIBLE: 0x302,
  ANA_TRANSITION: 0x303,
  // Media errors.
  WRITE_FAULT: 0x280,
  UNRECOVERED_READ: 0x281,
  COMPARE_FAILURE: 0x285,
} as const;

export const DNR = 0x4000;
export type Code = number;

export const SGL = { TYPE_AT: 39, LENGTH_AT: 32, OFFSET_AT: 24, IN_CAPSULE: 0x01, TRANSPORT: 0x5a } as const;

/** Bits 0 and 1 of the flags of a command. */
export const FUSE = { NO: 0, FIRST: 1, SECOND: 2 } as const;
/** ATR in the answer to Connect: the host has to authenticate. */
export const CONNECT_AUTH_REQUIRED = 1 << 17;
/** CDW10 of commands with authentication messages, without its lowest byte: SECP, SPSP1, SPSP0. */
export const AUTH_PROTOCOL = 0xe9_0101;
/** Type and id of a message. */
export const AUTH_MESSAGE = {
  NEGOTIATE: 0x0000,
  CHALLENGE: 0x0101,
  REPLY: 0x0102,
  SUCCESS_1: 0x0103,
  SUCCESS_2: 0x0104,
  FAILURE_1: 0x00f1,
  FAILURE_2: 0x00f0,
} as const;
/** Why an authentication has failed. */
export const AUTH_FAILURE = { FAILED: 1, PROTOCOL: 2, SECURE_CHANNEL: 3, HASH: 4, GROUP: 5, PAYLOAD: 6, MESSAGE: 7 } as const;
export type AuthFailure = (typeof AUTH_FAILURE)[keyof typeof AUTH_FAILURE];
export const PROPERTY = { CAP: 0x00, VS: 0x08, CC: 0x14, CSTS: 0x1c } as const;
export const FEATURE = {
  VOLATILE_CACHE: 0x06,
  QUEUES: 0x07,
  ASYNC_EVENTS: 0x0b,
  KEEP_ALIVE: 0x0f,
  RESERVATION_MASK: 0x82,
  RESERVATION_PERSISTENCE: 0x83,
} as const;
export const CNS = {
  NAMESPACE: 0,
  CONTROLLER: 1,
  ACTIVE_LIST: 2,
  DESCRIPTORS: 3,
  SET_NAMESPACE: 5,
  SET_CONTROLLER: 6,
  SET_LIST: 7,
} as const;
export const LOG = {
  ERRORS: 1,
  HEALTH: 2,
  FIRMWARE: 3,
  CHANGED: 4,
  EFFECTS: 5,
  ANA: 0x0c,
  CROSS_RESETS: 0x1e,
  DISCOVERY: 0x70,
  RESERVATIONS: 0x80,
} as const;

export const DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery';
export const VERSION_1_4 = 0x0001_0400;
/** Namespace id that means all namespaces. */
export const ALL_NAMESPACES = 0xffff_ffff;
export const CNTLID_ANY = 0xffff;
