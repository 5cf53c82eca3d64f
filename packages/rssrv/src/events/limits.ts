// Bounds of rssrv's events/ folder. Units are in the names.
// The bounds of the list of events are in packages/common/src/events/limits.ts.

/**
 * If many volumes become unavailable or available at the same time, this number of volumes is reported one by one. The other volumes are
 * reported together, as a number.
 */
export const VOLUMES_NAMED_MAX = 20;

/** A book of the audit keeps the last AUDIT_FILES_MAX files of AUDIT_FILE_BYTES: about 200,000 orders on the server, and as many of clients. */
export const AUDIT_FILE_BYTES = 1024 * 1024;
export const AUDIT_FILES_MAX = 64;
