// Bounds of rssrv's events/ folder. Units are in the names.
// The bounds of the list of events are in packages/common/src/events/limits.ts.

/** Maximum number of volumes that become unavailable, or are served again, at one moment and are reported one by one. */
export const VOLUMES_NAMED_MAX = 20;
