// Bounds of logins. Units are in the names.
// Invariant: no table that strangers can fill grows beyond its bound.

/** Logins of one token at a time. Beyond it, its own that has been idle longest ends, and none of another token. */
export const SESSIONS_PER_TOKEN_MAX = 64;
/** A login ends after this time, however often it is used. */
export const SESSION_MAX_MS = 24 * 3_600_000;
export const SESSION_BYTES = 32;
export const TOKEN_BYTES = 32;
