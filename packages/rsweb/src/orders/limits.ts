// Bounds of orders and of the notices about their outcome. Units are in the names. Invariant: an order that hangs does not block its place
// forever.

/** Maximum number of orders in progress. Further orders are refused. */
export const ORDERS_MAX = 16;
/** Maximum number of notices that are kept for a page, and their lifetime. */
export const NOTICES_MAX = 256;
export const NOTICE_MS = 300_000;
export const FIELD_MAX_CHARS = 1_024;
/** How long a page waits for the outcome of an order. After that, the order continues, and the log gets the outcome. */
export const ORDER_SHOWN_MS = 20_000;
