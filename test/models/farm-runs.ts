// The runs of the two models of a farm with their expected results. README.md explains the arguments and the variants.
// Invariant: each variant of a model has a run with an expected result, which is a violation or none.

import { type ModelRun, perEngine, table } from './run-tables.ts';

export const FARM: readonly ModelRun[] = [
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
    base abc 1 2 1 1 0 2 -f 60000000 -t 900
    base abc 1 3 1 1 0 1 -f 60000000 -t 900
    base abc 1 2 1 1 1 1 -f 60000000 -t 900
    base abc 2 2 1 1 0 1 -f 60000000 -t 900`,
  ),
];

export const POOL: readonly ModelRun[] = [
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
    base a r 3 1 1 2 1 0 1 15
    base a r 2 2 2 0 2 0 1 7 -f 80000000 -t 900
    base b 2 2 1 1 2 1 1 1 15 -f 80000000 -t 900`,
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
