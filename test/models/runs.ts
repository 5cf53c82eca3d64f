// The runs of the models with their expected results. Another result means that a rule or the model is wrong. README.md explains the
// arguments and the variants. The tests make the `small` runs. All `normal` runs together take minutes, and each `big` run takes minutes.
// Invariant: each variant of a model has a run with an expected result, which is a violation or none.

export type Result = 'holds' | 'breaks' | 'unfinished';

export interface ModelRun {
  readonly model: string;
  readonly size: 'small' | 'normal' | 'big';
  readonly expected: Result;
  readonly variant: string;
  readonly args: string;
}

function table(model: string, size: ModelRun['size'], expected: Result, rows: string): ModelRun[] {
  return rows
    .trim()
    .split('\n')
    .map((row) => /^\s*(\S+)\s+(.*)$/.exec(row))
    .map((row) => ({ model, size, expected, variant: row?.[1] ?? '', args: row?.[2] ?? '' }));
}

/** The second word of each row names the engines: one run for each letter. */
function perEngine(model: string, size: ModelRun['size'], expected: Result, rows: string): ModelRun[] {
  return table(model, size, expected, rows).flatMap((run) => {
    const [engines = '', ...rest] = run.args.split(' ');
    return [...engines].map((engine) => ({ ...run, args: [engine, ...rest].join(' ') }));
  });
}

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

const FARM: readonly ModelRun[] = [
  ...perEngine('farm', 'small', 'holds', 'base abc 1 1 0 1 0 1'),
  ...perEngine(
    'farm',
    'small',
    'breaks',
    `
    unlink-first c 1 2 0 1 0 2 -x
    flush-cache ab 1 2 1 1 0 1 -x
    hold-local a 2 2 0 1 0 2 -x
    old-reason b 1 1 1 1 0 1
    no-answer-look c s 1 0 1 0 1 -x`,
  ),
  ...perEngine(
    'farm',
    'normal',
    'holds',
    `
    base abcd 1 2 1 1 0 1
    base abc 1 2 0 1 0 2
    base abc 1 2 0 2 0 2
    base abc 1 1 1 1 1 1
    base abc 1 1 2 1 0 1
    base d 1 2 1 0 2 1
    base abc 2 2 0 1 0 2
    base abc 2 1 1 1 0 1
    base abc 2 2 0 0 1 1
    base abc s 2 0 1 0 2
    base abc s 2 1 1 0 1
    base abc s 2 0 0 1 1
    base abc 1 1 1 0 0 0 -l -h 1
    base abc 1 1 0 0 0 0 -l -h 2
    base abc 1 1 0 0 1 1 -l -h 1
    base abc 2 1 0 0 0 0 -l -h 1
    base abc s 1 1 0 0 0 -l -h 1
    base d 1 1 1 0 1 1 -l
    base abc 1 2 0 1 0 1 -b 2
    base abc 1 2 1 0 0 0 -b 2
    fence-first ab 1 2 0 1 0 2 -x
    coop-new-life a 1 1 1 0 2 0
    same-key b 1 2 0 2 0 3 -x
    look-then-read abc s 2 0 1 0 2
    reads-fenced ab s 2 0 1 0 2
    force-look ac 2 2 0 1 0 2
    publish ac 2 2 0 1 0 2
    pub-late a 2 2 0 1 0 2 -x`,
  ),
  ...perEngine(
    'farm',
    'normal',
    'breaks',
    `
    base d 1 1 0 0 0 0 -l -h 1
    no-fence abc 1 2 1 1 0 1 -x
    same-life abc 1 2 1 1 0 1 -x
    life-boot abc 1 2 1 1 0 1 -x
    life-count abc 1 2 1 1 0 1 -x
    flush-cache c 1 2 1 1 0 1 -x
    resume-own abc 1 2 1 1 0 1 -x
    no-cas abc 1 2 1 1 0 1 -x
    keep-clean abc 1 2 1 1 0 1 -x
    keep-dirty abc 1 2 1 1 0 1 -x
    no-open-look abc 1 2 1 1 0 1 -x
    late-answers abc 1 2 1 1 0 1 -x
    blind-commit abc 1 2 1 1 0 1 -x
    fence-late ab 1 2 1 1 0 1 -x
    fence-last ab 1 2 1 1 0 1 -x
    refused-goes-on ab 1 2 0 1 0 2 -x
    fence-first c 1 2 0 1 0 2 -x
    fence-first b 1 2 0 1 0 2
    no-flush-look c 1 2 0 1 0 2 -x
    no-flush-look c 1 2 0 1 0 2 -x -b 2
    look-before-sync c 1 2 0 1 0 2 -x
    same-name c 1 2 0 1 0 2 -x
    register-early b 1 2 0 1 1 2 -x
    free-dirty abc 1 1 1 0 1 0 -x
    free-dirty d 1 2 0 0 2 0 -x
    giving-executes abc 1 2 0 0 1 1 -x
    blind-giveup abc 1 2 0 1 1 2 -x
    life-unsaved abc 1 1 1 0 1 1 -x
    hold-local bc 2 2 0 1 0 2 -x
    settle-local abc 2 2 0 1 0 2 -x
    no-settle-wait abc 2 2 0 1 0 2 -x
    hold-blind abc 2 2 0 1 0 2 -x
    no-open-look abc 2 2 0 1 0 2 -x
    no-answer-look ab s 1 0 1 0 1 -x
    look-any-gen abc s 2 1 1 0 1 -x
    reads-fenced c s 2 0 1 0 1 -x
    old-reason ac 1 1 1 1 0 1
    same-key b 1 1 0 2 0 3
    client-reason a s 1 0 0 0 0 -l -h 2
    pub-late c 2 2 0 1 0 2 -x
    pub-no-look c 2 2 0 1 0 2 -x`,
  ),
  ...perEngine(
    'farm',
    'big',
    'holds',
    `
    base abc 1 2 1 1 0 2
    base abc 1 3 1 1 0 1
    base abc 1 2 1 1 1 1
    base abc 2 2 1 1 0 1`,
  ),
];

const POOL: readonly ModelRun[] = [
  ...table(
    'pool',
    'small',
    'holds',
    `
    base a 1 2 1 1 1 1 0 1 15 -l
    base b 2 2 1 1 1 1 0 0 0 -l
    base m 1 2 1 1 1 1 0 0 0 -l
    base a r 2 1 1 1 1 0 0 0 -l`,
  ),
  ...table(
    'pool',
    'small',
    'breaks',
    `
    giveup-blind a 1 3 1 1 2 1 1 0 0
    resume-own a 1 2 1 1 2 0 0 1 4
    hold-local a 2 2 1 1 2 1 0 0 0
    settle-local a 2 2 1 1 2 0 0 1 4
    no-settle-wait a 2 2 1 1 2 0 0 1 4
    instance-local a r 2 1 1 1 1 0 0 0
    hello-only a r 2 2 2 0 1 0 0 0
    replaced-acked a r 2 1 1 2 1 0 0 0
    no-fence b 1 2 1 1 1 1 0 0 0
    fence-last a 1 3 1 1 1 2 0 0 0
    fence-served a 1 3 1 1 1 2 0 0 0
    mount-first a 1 2 1 1 1 1 0 0 0
    failed-fence a 1 2 1 1 1 1 0 1 0
    fence-expires a 1 2 1 1 1 1 0 0 0
    register-no-look b 1 3 1 1 1 2 0 0 0
    register-early b 1 2 1 1 1 2 0 0 0
    power-only m 1 2 1 1 1 1 0 0 0
    shared-client a 1 2 2 2 1 2 0 0 0
    same-life a 1 2 1 1 1 1 0 0 0
    count-unsaved a 1 2 1 1 1 0 1 1 8
    count-one a 1 2 1 2 1 0 1 1 8
    free-one a 1 2 1 2 1 0 1 0 0
    free-mounted a 1 2 1 1 1 0 1 0 0
    keep-mount b 1 2 1 1 2 1 0 1 2
    no-reader-look a o 2 1 1 1 1 0 0 0`,
  ),
  ...table(
    'pool',
    'normal',
    'holds',
    `
    base a 1 3 1 1 1 2 0 1 15 -l
    base b 1 3 1 1 1 2 0 1 15 -l
    base m 1 3 1 1 1 2 0 1 15 -l
    base a 2 2 1 1 1 1 0 1 15 -l
    base b 2 2 1 1 1 1 0 1 15 -l
    base a r 2 1 1 1 1 0 1 15 -l
    base a o 3 1 1 2 1 0 1 7
    base a 1 2 1 1 1 1 1 1 15 -l
    base b 1 2 1 1 1 1 1 1 15 -l
    base b 1 3 1 1 2 2 0 1 15
    base m 1 2 1 1 2 2 0 2 15
    base a 1 2 1 2 1 1 1 1 15
    forget-ended a 1 3 1 1 1 2 0 1 4
    register-first b 1 3 1 1 1 2 0 1 15
    end-one a 1 2 1 2 2 1 0 1 1
    end-one b 1 2 1 2 2 1 0 1 1`,
  ),
  ...table(
    'pool',
    'normal',
    'breaks',
    `
    commit-blind a 1 3 1 1 2 2 0 0 0
    fact-cached a 2 2 1 1 2 1 0 1 5
    memory-first a 2 2 1 1 2 1 0 1 15
    failed-fact a 2 2 1 1 2 1 0 1 8
    instance-once a r 2 2 2 0 2 0 0 0
    fence-last b 1 3 1 1 1 1 0 1 4
    fence-served b 1 3 1 1 1 2 0 0 0
    keep-mount a 1 2 1 1 2 1 0 1 2
    no-open-look a 1 2 1 1 2 1 0 2 1`,
  ),
  ...table(
    'pool',
    'big',
    'holds',
    `
    base a 1 2 2 2 2 1 0 1 15
    base a 2 3 1 1 2 1 0 1 15
    base a r 3 1 1 2 1 0 1 15`,
  ),
  ...table(
    'pool',
    'big',
    'unfinished',
    `
    base a 1 3 2 2 3 3 1 3 15 -w 1 -t 120
    base a 2 3 1 2 4 3 1 3 15 -w 16 -t 120
    base b 2 3 2 2 3 3 1 3 15 -w 14 -t 120
    base m 2 3 2 2 3 3 1 3 15 -w 15 -t 120
    base a r 3 2 2 3 3 1 3 15 -w 12 -t 120
    base a o 3 1 2 4 3 1 3 15 -w 24 -t 120`,
  ),
];

export const RUNS: readonly ModelRun[] = [...MIRROR, ...MEMBERS, ...FARM, ...POOL];
