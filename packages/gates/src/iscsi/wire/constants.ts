// Numbers of iSCSI. Source: RFC 7143, chapter 11.
// Invariant: a number stands here once, with the name that the RFC gives it.

export const BHS_BYTES = 48;
export const DIGEST_BYTES = 4;
/** A number that stands for no task. */
export const NO_TAG = 0xffff_ffff;

/** PDUs of initiators. */
export const REQUEST = {
  NOP_OUT: 0x00,
  SCSI_COMMAND: 0x01,
  TASK_MANAGEMENT: 0x02,
  LOGIN: 0x03,
  TEXT: 0x04,
  DATA_OUT: 0x05,
  LOGOUT: 0x06,
  SNACK: 0x10,
} as const;

/** PDUs of targets. */
export const RESPONSE = {
  NOP_IN: 0x20,
  SCSI_RESPONSE: 0x21,
  TASK_MANAGEMENT: 0x22,
  LOGIN: 0x23,
  TEXT: 0x24,
  DATA_IN: 0x25,
  LOGOUT: 0x26,
  R2T: 0x31,
  ASYNC: 0x32,
  REJECT: 0x3f,
} as const;

export const OPCODE_MASK = 0x3f;
/** Byte 0: the request is executed before those that wait for their turn, and its CmdSN does not count. */
export const IMMEDIATE = 0x40;
/** Byte 1. */
export const FINAL = 0x80;
export const CONTINUED = 0x40;
/** Byte 1 of a SCSI command. */
export const COMMAND = { READ: 0x40, WRITE: 0x20, ATTRIBUTE_MASK: 0x07 } as const;
/** Byte 1 of Data-In, and of a SCSI response. */
export const RESULT = { STATUS: 0x01, UNDERFLOW: 0x02, OVERFLOW: 0x04 } as const;

/** Byte 1 of a login request. */
export const LOGIN = { TRANSIT: 0x80, CONTINUE: 0x40 } as const;
export const STAGE = { SECURITY: 0, OPERATIONAL: 1, FULL_FEATURE: 3 } as const;

/** Class and detail of a login response. */
export const LOGIN_STATUS = {
  SUCCESS: 0x0000,
  INITIATOR_ERROR: 0x0200,
  AUTHENTICATION: 0x0201,
  AUTHORIZATION: 0x0202,
  NOT_FOUND: 0x0203,
  VERSION: 0x0205,
  TOO_MANY: 0x0206,
  MISSING_PARAMETER: 0x0207,
  SESSION_TYPE: 0x0209,
  NO_SESSION: 0x020a,
  OUT_OF_RESOURCES: 0x0302,
} as const;
export type LoginStatus = (typeof LOGIN_STATUS)[keyof typeof LOGIN_STATUS];

export const REJECT = {
  PROTOCOL_ERROR: 0x04,
  NOT_SUPPORTED: 0x05,
  IMMEDIATE: 0x06,
  INVALID_FIELD: 0x09,
} as const;

/** Functions of a task management request. */
export const TASK = {
  ABORT_TASK: 1,
  ABORT_TASK_SET: 2,
  CLEAR_ACA: 3,
  CLEAR_TASK_SET: 4,
  LOGICAL_UNIT_RESET: 5,
  TARGET_WARM_RESET: 6,
  TARGET_COLD_RESET: 7,
  TASK_REASSIGN: 8,
} as const;

export const TASK_RESPONSE = { COMPLETE: 0, NO_TASK: 1, NO_UNIT: 2, REASSIGN_NOT_SUPPORTED: 4, NOT_SUPPORTED: 5, REJECTED: 255 } as const;

/** Reasons of a logout request, and its responses. */
export const LOGOUT = { SESSION: 0, CONNECTION: 1, RECOVERY: 2 } as const;
export const LOGOUT_RESPONSE = { DONE: 0, NO_CONNECTION: 1, NO_RECOVERY: 2 } as const;
