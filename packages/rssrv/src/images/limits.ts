// Bounds of rssrv's images/ folder. Units are in the names.
// The bounds of the moment that images share are in moments/limits.ts, those of snapshots in pools/snapshots/limits.ts.

/** Images that are refreshed at one moment. */
export const IMAGES_AT_ONCE_MAX = 32;
