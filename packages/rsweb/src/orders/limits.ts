// Bounds of orders and of the notices about their outcome. Units are in the names.
// Invariant: orders that hang take no place for ever.

/** Orders that run at a time. Further ones are refused. */
export const ORDERS_MAX = 16;
/** Notices that wait for the page that shows them, and for how long. */
export const NOTICES_MAX = 256;
export const NOTICE_MS = 300_000;
export const FIELD_MAX_CHARS = 1_024;
/** A page waits for this time for the outcome. The order goes on, and the log tells its outcome. */
export const ORDER_SHOWN_MS = 20_000;
