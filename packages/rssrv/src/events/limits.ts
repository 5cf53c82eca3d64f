// Bounds of rssrv's events/ folder. Units are in the names.
// The bounds of the list of events are in packages/common/src/events/limits.ts.

/** Volumes that become unavailable, or are served again, at the same moment and are named one by one. */
export const VOLUMES_NAMED_MAX = 20;
