// Bounds of rssrv's events/ folder. Units are in the names.
// The bounds of the list of events are in packages/common/src/events/limits.ts.

/**
 * If many volumes become unavailable or available at the same time, this number of volumes is reported one by one. The other volumes are
 * reported together, as a number.
 */
export const VOLUMES_NAMED_MAX = 20;
