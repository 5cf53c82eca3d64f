// Bounds of rssrv's jobs/images/ folder: images, and READs that an image answers because the storage of its volume failed.
// Units are in the names. The bounds of the moment that images share are in snapshots/limits.ts, those of snapshots in
// pools/snapshots/limits.ts, those of comparisons in one pool in snapshots/reads/limits.ts.

/** Images that are refreshed at one moment. */
export const IMAGES_AT_ONCE_MAX = 32;

// READs that an image answers.

/** READs of an open volume that wait while another one is looked at. Further ones get their error at once. */
export const BRIDGES_WAITING_MAX = 64;
/** A READ that has waited longer gets its error, so that a disk that answers slowly does not add up to a hang. */
export const BRIDGE_WAIT_MAX_MS = 5_000;
/** A look at the pools that lasts longer is not waited for. */
export const BRIDGE_LOOK_MAX_MS = 5_000;
/** A read of an image that lasts longer is not waited for, and no other image is read for the volume before it ends. */
export const BRIDGE_READ_MAX_MS = 5_000;
/** Images of one volume that are looked at for a READ, the newest first. */
export const BRIDGE_IMAGES_MAX = 4;
/** Interval at which the log and the events say again that an image answers for a volume. */
export const BRIDGE_REPORT_MS = 600_000;
/** Volumes of which is remembered that images have answered for them. */
export const BRIDGED_VOLUMES_MAX = 10_000;
/** Time for which the state of the server shows that an image has answered for a volume, after the last READ. */
export const BRIDGED_SHOWN_MS = 86_400_000;
