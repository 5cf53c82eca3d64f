// Bounds of rssrv's events/ folder. Units are in the names.
// EVENTS_KEPT, the length of the list, is among the bounds of the control interface, because a request asks for at most that many.

/** Requests that wait for the next event at the same time. A further request is refused. */
export const EVENT_WAITERS_MAX = 64;
/** Length of the reason of an event; the log has the whole text. */
export const EVENT_REASON_MAX_CHARS = 2_000;
/** Volumes that become unavailable, or are served again, at the same moment and are named one by one. */
export const VOLUMES_NAMED_MAX = 20;
