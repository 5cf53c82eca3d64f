// Bounds of /etc/rswebcfg and of the files that it names. Units are in the names.
// The bounds of the server itself are in http/limits.ts and login/limits.ts.

export const LISTEN_DEFAULT = '127.0.0.1:5080';
export const IDLE_DEFAULT = '30m';
export const IDLE_MIN_MS = 60_000;
export const IDLE_MAX_MS = 7 * 24 * 3_600_000;
export const TOKENS_MAX = 256;
export const SOURCES_MAX = 64;
export const NAMES_MAX = 64;
export const HOST_NAME_MAX_CHARS = 253;
export const SOURCE_URL_MAX_CHARS = 1_024;
/** Maximum size of a token-file. Only white space may surround the token. */
export const TOKEN_FILE_MAX_BYTES = 4_096;
export const WEB_TOKEN_MAX_CHARS = 512;
/** Maximum size of a file with a certificate chain or a private key. */
export const PEM_MAX_BYTES = 256 * 1_024;
