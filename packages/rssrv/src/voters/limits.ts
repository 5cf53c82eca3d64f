// Bounds for the code in rssrv's voters/ folder. Names include the units. The file src/limits.ts asserts the relations between these bounds
// and the bounds of other folders.

/** Mirrors of which a server keeps records, with those that cannot be read. */
export const VOTER_RECORDS_MAX = 1_024;
/** Records that one client may have founded on a server. */
export const VOTER_RECORDS_PER_CLIENT_MAX = 256;
/** VOTEs about one mirror that wait or are executed. Further ones are refused. */
export const VOTES_WAITING_MAX = 128;
