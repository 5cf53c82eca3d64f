// Bounds of logins and of wrong tokens. Units are in the names.
// Invariant: no table that strangers can fill grows beyond its bound.

/** Logins at a time. Beyond it, the one that has been idle longest ends; only a token makes a login, so no stranger can end one. */
export const SESSIONS_MAX = 512;
/** A login ends after this time, however often it is used. */
export const SESSION_MAX_MS = 24 * 3_600_000;
export const SESSION_BYTES = 32;
export const TOKEN_BYTES = 32;
/** Wrong tokens of one address: so many at once, then one in each interval. */
export const WRONG_AT_ONCE = 10;
export const WRONG_EACH_MS = 2_000;
/** Addresses of which wrong tokens are counted. Beyond it, the one that would be forgotten first is forgotten. */
export const SOURCES_COUNTED_MAX = 1_024;
