// Bounds of rssrv's events/ folder. Units are in the names.
// The bounds of the list of events are in packages/common/src/events/limits.ts.

/**
 * If more volumes than this become unavailable, or are served again, at the same time, they are reported together instead of one by one.
 */
export const VOLUMES_NAMED_MAX = 20;
