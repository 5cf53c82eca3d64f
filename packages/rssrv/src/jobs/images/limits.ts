// Bounds of rssrv's jobs/images/ folder: images, and READs that an image answers because the storage of its volume failed. Units are in the
// names. snapshots/limits.ts bounds the moment that images share, pools/snapshots/limits.ts snapshots, and snapshots/reads/limits.ts
// comparisons in one pool.

/** Maximum number of images that are refreshed to one moment. */
export const IMAGES_AT_ONCE_MAX = 32;

// READs that an image answers.

/** Maximum number of failed READs of an open volume that wait while another one is handled. Further ones get their error at once. */
export const BRIDGES_WAITING_MAX = 64;
/** A failed READ that has waited longer gets its error, so that READs do not hang behind a slow disk. */
export const BRIDGE_WAIT_MAX_MS = 5_000;
/** Maximum time for which a READ waits until an image is found. */
export const BRIDGE_LOOK_MAX_MS = 5_000;
/** Maximum time for which a READ waits for an image. No other image is read for the volume before that read ends. */
export const BRIDGE_READ_MAX_MS = 5_000;
/** Maximum number of images of a volume that are tried for a READ, the newest first. */
export const BRIDGE_IMAGES_MAX = 4;
/** Interval at which the log and the events repeat that an image answers for a volume. */
export const BRIDGE_REPORT_MS = 600_000;
/** Maximum number of volumes for which answers of images are remembered. */
export const BRIDGED_VOLUMES_MAX = 10_000;
/** Time for which the state of the server shows that an image has answered for a volume, after the last READ. */
export const BRIDGED_SHOWN_MS = 86_400_000;
