// Bounds of rsconfig's backup/ folder: sizes of copied pieces, and waits for programs. Units are in the names. A copy itself has no time
// limit, because its amount of data is unknown.

/** Size of a piece that is read and written at once, and the number of pieces in flight. */
export const PIECE_BYTES = 1024 * 1024;
export const PIECES_AT_ONCE = 4;
/** Length of the range in one query for changes. */
export const STATUS_BYTES = 1024 * 1024 * 1024;
/** Time within which qemu-nbd must listen on its socket, and the interval between attempts to connect. */
export const LISTEN_WAIT_MS = 10_000;
export const LISTEN_RETRY_MS = 20;
/** Maximum length of a failed program's error output in a message. */
export const PROGRAM_TEXT_MAX_CHARS = 2_000;
/** Maximum length of the data in an NBD option reply. */
export const OPTION_REPLY_MAX_BYTES = 64 * 1024;
export const RECORD_MAX_BYTES = 64 * 1024;
/** Maximum number of files in a chain. All their names must fit in one argument of a program, which the kernel limits to 128 KiB. */
export const CHAIN_FILES_MAX = 500;
/** The header must lie within this many bytes from the start of a backup file. */
export const QCOW2_HEADER_BYTES = 64 * 1024;
