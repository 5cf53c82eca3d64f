// The runs of the models with their expected results. Another result means that a rule or the model is wrong. README.md explains the
// arguments and the variants. The tests make the `small` runs. All `normal` runs together take minutes, and each `big` run takes minutes.
// Invariant: each variant of a model has a run with an expected result, which is a violation or none.

import { FARM, POOL } from './farm-runs.ts';
import { type ModelRun, table } from './run-tables.ts';

const MIRROR: readonly ModelRun[] = [
  ...table(
    'mirror',
    'small',
    'holds',
    `
    base 2 1 1 0 0 2 0 0 -l
    base 2 1 0 1 1 2 0 8 -q`,
  ),
  ...table(
    'mirror',
    'small',
    'breaks',
    `
    read-fixed 2 1 1 0 0 2 0 0
    minority 2 1 0 0 1 2 0 1
    clean-unflushed 2 1 0 0 1 2 1 8
    settle-reachable 2 1 0 0 1 2 0 1`,
  ),
  ...table(
    'mirror',
    'normal',
    'holds',
    `
    base 2 2 0 1 0 2 0 0 -l
    base 2 1 0 0 1 2 0 31 -l
    base 2 1 0 0 1 2 0 32 -l
    base 2 1 1 0 1 2 0 10 -q -l
    base 2 1 1 1 1 2 0 8 -q -l
    base 2 1 0 1 1 2 1 8 -l
    base 2 2 0 0 1 2 0 2 -q -l
    base 2 2 0 1 1 2 0 8 -q -l
    base 2 1 0 0 2 2 0 8 -q -l
    base 2 1 0 0 1 3 0 4 -q -l
    base 3 1 0 0 1 2 0 8 -q -l
    base 2 1 0 0 1 2 0 31 -p -l
    base 2 1 0 1 1 2 0 8 -p -l
    base 2 1 0 0 1 2 0 31 -a -l
    base 2 1 1 0 1 2 0 9 -a -q -l
    base 2 1 0 1 1 2 0 9 -a -q -l
    base 2 1 0 1 1 2 0 2 -l
    base 2 1 0 0 0 3 1 0 -l
    base 2 1 0 0 1 2 1 11 -l
    base 2 2 0 0 1 2 0 3 -l
    base 3 1 0 0 1 2 0 2 -q -l
    base 2 1 0 0 2 2 0 5 -q
    remain-unclaimed 2 1 0 0 1 2 0 31
    read-check-majority 2 1 1 0 1 2 0 1 -q -l`,
  ),
  ...table(
    'mirror',
    'normal',
    'breaks',
    `
    shrink-early 2 1 0 0 1 2 0 3
    grow-late 2 1 0 0 1 2 0 2
    join-late 2 1 0 1 1 2 0 2
    join-noflush 2 1 0 1 1 2 0 2
    pending-last-only 2 1 0 0 1 2 0 4
    reopen-leaving 2 1 0 1 1 2 0 8
    no-recommit 2 1 0 0 1 3 0 4
    promise-volatile 2 1 0 0 1 2 0 0
    no-revoke 2 1 0 0 0 2 0 0
    claim-all 2 1 0 0 1 2 0 2 -l
    any-replica 2 1 0 0 1 2 0 2
    unclean-as-clean 2 1 0 0 0 2 0 0
    no-settle-flush 2 1 1 0 1 2 0 8
    no-settle-flush 2 1 1 0 1 2 0 8 -p
    resync-unclaimed 3 1 0 0 1 2 0 4
    resync-unsettled 3 1 0 0 1 2 0 2 -q
    map-source-only 2 1 0 0 1 2 0 1
    map-target-only 2 1 0 0 1 2 0 2
    map-volatile 2 1 0 0 1 2 0 8
    map-before-fence 2 1 0 0 1 2 0 4
    clear-early 2 1 0 1 1 2 0 2
    clear-unflushed 2 1 0 0 1 2 0 8
    resync-no-serial 2 2 0 0 1 2 0 2
    resync-old-session 2 2 0 0 1 2 0 1
    resync-forget 2 1 0 0 2 2 0 10
    no-source 2 1 0 0 1 2 0 32
    map-not-inflight 3 1 0 0 1 2 0 8 -q
    o1-acked-only 2 2 0 0 1 2 0 2
    read-any 2 1 1 0 0 2 0 0
    read-lock-one-way 2 1 1 0 0 2 0 0
    read-unchecked 2 1 0 0 1 2 0 1
    read-check-committed 2 1 0 0 2 2 0 5
    log-at-ack 2 1 0 0 1 2 0 8
    reads-in-replay 2 1 0 0 1 2 0 8
    no-log 2 1 0 0 1 2 0 8
    flush-in-replay 2 1 0 1 1 2 0 8
    flush-stayers 2 1 0 1 1 2 0 2
    clean-not-cleared 2 1 0 0 0 3 1 0
    identity-ignored 2 1 0 0 1 2 0 32
    voter-amnesia 2 1 0 0 2 2 0 33`,
  ),
  ...table(
    'mirror',
    'big',
    'holds',
    `
    base 2 1 1 0 1 2 0 31 -q -l
    base 2 1 0 0 2 2 0 2 -q -l
    base 3 1 0 0 3 1 0 2 -q -l
    base 2 1 0 0 1 3 0 4
    base 3 1 0 0 1 2 0 8 -p -q -l`,
  ),
  ...table('mirror', 'big', 'breaks', 'copy-no-map 3 1 0 0 3 1 0 2 -q'),
  ...table('mirror', 'big', 'unfinished', 'base 3 2 2 1 3 3 1 63 -w 1 -t 300'),
];

const MEMBERS: readonly ModelRun[] = [
  ...table('members', 'small', 'holds', 'base 2 1 0 0 0 2 0 0 1 1 0 -l'),
  ...table(
    'members',
    'small',
    'breaks',
    `
    clear-one-block 2 3 2 1 3 3 1 127 2 1 1 -w 1
    one-step 2 3 2 1 3 3 1 127 1 1 3 -w 1
    claim-old-only 2 3 2 1 3 3 1 127 1 1 3 -w 1`,
  ),
  ...table(
    'members',
    'normal',
    'holds',
    `
    base 2 1 1 0 0 2 0 0 1 1 0 -l
    base 2 1 0 1 1 2 0 8 1 1 0`,
  ),
  ...table(
    'members',
    'normal',
    'breaks',
    `
    minority 2 3 2 1 3 3 1 127 2 1 1 -w 1
    shrink-early 2 3 2 1 3 3 1 127 2 1 1 -w 1
    grow-late 2 3 2 1 3 3 1 127 2 1 1 -w 1
    join-late 2 3 2 1 3 3 1 127 2 1 1 -w 1
    join-noflush 2 3 2 1 3 3 1 127 2 1 1 -w 1
    pending-last-only 2 2 0 1 1 2 0 4 1 1 0 -w 1
    reopen-leaving 2 3 2 1 3 3 1 127 2 1 1 -w 1
    no-recommit 2 3 2 1 3 3 1 127 2 1 1 -w 1
    any-replica 2 3 2 1 3 3 1 127 2 1 1 -w 1
    no-settle-flush 2 3 2 1 3 3 1 127 2 1 1 -w 1
    resync-unclaimed 3 1 0 1 1 2 0 4 1 1 0 -w 1
    map-source-only 2 3 2 1 3 3 1 127 2 1 1 -w 1
    map-target-only 2 3 2 1 3 3 1 127 2 1 1 -w 1
    clear-early 2 3 2 1 3 3 1 127 2 1 1 -w 1
    clear-unflushed 2 3 2 1 3 3 1 127 2 1 1 -w 1
    resync-forget 2 3 2 1 3 3 1 127 2 1 1 -w 1
    read-unchecked 2 3 2 1 3 3 1 127 2 1 1 -w 1
    copy-no-map 3 2 0 1 3 2 0 2 1 1 0 -w 1
    identity-ignored 2 3 2 1 3 3 1 127 2 1 1 -w 1
    unclean-as-clean 2 3 2 1 3 3 1 127 2 1 1 -w 1
    no-revoke 2 3 2 1 3 3 1 127 2 1 1 -w 1
    settle-one-block 2 3 2 1 3 3 1 127 2 1 1 -w 1
    copy-one-block 2 3 2 1 3 3 1 127 2 1 1 -w 1
    trim-all 2 3 2 1 3 3 1 127 2 1 1 -w 1
    joint-old-only 2 2 0 1 2 3 0 3 1 1 1 -w 1
    joint-new-only 2 3 2 1 3 3 1 127 1 1 3 -w 1
    claim-new-only 2 3 2 1 3 3 1 127 1 1 3 -w 1
    both-ways 2 2 0 1 2 3 0 3 1 1 2 -w 1
    claim-first-voters 2 3 2 1 3 3 1 127 1 1 3 -w 1
    record-same-id 2 3 2 1 3 3 1 127 1 1 3 -w 1
    lost-record-opens 2 3 1 1 2 3 0 65 1 1 2 -w 1
    readd-same-identity 2 2 1 2 2 1 0 2 1 1 2 -w 1
    new-empty-map 2 3 2 1 3 3 1 127 1 1 3 -w 1
    clear-pending 2 1 0 1 1 2 0 2 1 1 1 -w 1
    size-early 2 1 0 1 2 3 0 127 1 1 2 -g -w 1
    join-ungrown 2 1 0 1 2 3 0 127 1 1 2 -g -w 1
    grow-in-sync 2 1 0 1 2 3 0 127 1 1 2 -g -w 1`,
  ),
  ...table(
    'members',
    'big',
    'unfinished',
    `
    base 3 3 2 1 4 3 1 127 2 1 3 -w 11 -t 300
    base 2 3 2 1 4 4 1 127 2 1 4 -w 12 -t 300
    base 2 3 2 1 4 4 1 127 2 2 4 -w 13 -t 300
    base 3 2 0 1 3 3 1 127 1 1 2 -g -w 14 -t 300
    read-majority 2 3 2 1 3 3 1 127 1 1 3 -w 1 -t 300`,
  ),
  ...table('mirror', 'big', 'unfinished', 'base 2 1 0 0 2 2 0 63 -q -f 200000000 -t 900'),
];

export const RUNS: readonly ModelRun[] = [...MIRROR, ...MEMBERS, ...FARM, ...POOL];
