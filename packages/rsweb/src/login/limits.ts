// Bounds of logins. Units are in the names.
// Invariant: every table that requests without a token can fill is bounded.

/** Maximum number of logins of one token. A further login ends the same token's login that has been idle longest. */
export const SESSIONS_PER_TOKEN_MAX = 64;
/** A login ends after this time even if it is used. */
export const SESSION_MAX_MS = 24 * 3_600_000;
export const SESSION_BYTES = 32;
export const TOKEN_BYTES = 32;
