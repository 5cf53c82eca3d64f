// Bounds of rsconfig's backup/ folder: what is copied at a time, and how long programs are waited for. Units are in the names. A copy itself has
// no time limit, because nobody knows how much there is to copy.

/** Bytes that are read and written at a time, and how many such pieces are in flight. */
export const PIECE_BYTES = 1024 * 1024;
export const PIECES_AT_ONCE = 4;
/** Range of one question for what has changed. */
export const STATUS_BYTES = 1024 * 1024 * 1024;
/** Time within which qemu-nbd must listen, and time between tries. */
export const LISTEN_WAIT_MS = 10_000;
export const LISTEN_RETRY_MS = 20;
/** Longest text of a failed program that is shown. */
export const PROGRAM_TEXT_MAX_CHARS = 2_000;
/** Longest data of an answer in the negotiation. */
export const OPTION_REPLY_MAX_BYTES = 64 * 1024;
/** Longest description of a backup. */
export const RECORD_MAX_BYTES = 64 * 1024;
/** Files of one chain. Each is named in one argument of a program, which the kernel bounds at 128 KiB. */
export const CHAIN_FILES_MAX = 500;
/** Beginning of a backup in which its header must be. */
export const QCOW2_HEADER_BYTES = 64 * 1024;
