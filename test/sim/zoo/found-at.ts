// For each mutant: the seed at which a quick zoo begins to hunt it. The world of this seed finds the mutant and is small: seed 27, for
// example, takes a hundredth of the time of seed 1. zoo.ts runs the hunt. If the seed no longer finds the mutant, zoo.ts tries the
// following seeds and reports the first that finds it, and zoo.test.ts fails: look for a seed with a small world
// (`npm run zoo -- --from SEED NAME`).

/** Many mutants share a seed, so that the unbroken code has to pass only a few seeds. */
const FINDERS: readonly (readonly [seed: number, mutants: readonly string[]])[] = [
  [1, ['session-left', 'log-ends-on-readonly', 'unfit-let-go', 'close-refused']],
  [3, ['key-ends-unproven']],
  [4, ['change-told-early', 'change-unsynced', 'grown-dirty', 'held-removed', 'request-forgotten', 'request-again']],
  [5, ['asker-shut-out']],
  [6, ['waiting-dropped']],
  [7, ['other-file-served', 'probe-uncounted']],
  [10, ['epoch-after-grant']],
  [12, ['first-path-only', 'stray']],
  [16, ['no-quarantine']],
  [17, ['no-fence-wait']],
  [18, ['revoked-early', 'start-unsynced', 'revoke-ignored', 'granted-as-before', 'refused-holds', 'restored-empty']],
  [19, ['join-no-close', 'no-fence-worst', 'overlap-forgotten', 'writes-in-replay']],
  [21, ['older-file-taken', 'no-reask', 'overlap-last-first', 'exec-copy', 'stray-ignored', 'no-drain', 'resend-in-replay']],
  [22, ['key-ends-while-away', 'silent-for-ever', 'stale-reported', 'stale-answered-early', 'flush-error-swallowed']],
  [23, ['two-copies-mask', 'gate-forgets', 'copy-replaces']],
  [24, ['replay-sent-is-done', 'flush-in-replay', 'silent-kept', 'resume-ungated', 'no-log', 'replay-after-takeover']],
  [25, ['shorter-served', 'write-through-off', 'removed-served']],
  [
    27,
    [
      'no-serialize',
      'part-body',
      'buffer-early',
      'storage-buffer-early',
      'answered-early',
      'flush-early',
      'orphan',
      'stall-unheeded',
      'stall-impatient',
    ],
  ],
  [28, ['two-copies', 'fua-ignored', 'hold-ends-with-session', 'epoch-volatile', 'late-socket', 'no-probe']],
  [29, ['no-receipt', 'overlap-overtakes', 'no-fence-resend']],
  [30, ['other-blocks-taken', 'no-renewal']],
  [31, ['fua-no-cut', 'trim-on-failed-flush', 'fences-only', 'no-memory']],
  [32, ['no-fsync', 'fenced-early', 'manifest-before-file']],
  [35, ['held-runs-late', 'late-receiver']],
  [36, ['given-up-again']],
  [37, ['grant-on-close', 'taken-waits', 'log-survives-identity', 'lost-unrevoked', 'held-forgotten']],
  [38, ['revoke-opens']],
  [39, ['grown-untold']],
  [41, ['no-grace', 'stays-in-session']],
  [51, ['life-late']],
  [52, ['total-waited-for']],
  [54, ['no-wait']],
  [65, ['revoke-unasked']],
  [70, ['receive-twice', 'trim-all']],
  [73, ['lost-untold']],
  [75, ['hedge-answers-both', 'fence-slot']],
  [82, ['done-dup', 'silent-trusted']],
  [89, ['reads-in-replay']],
  [93, ['detach-leaves-out']],
  [114, ['adopt-at-open']],
  [121, ['new-handle-unheld', 'discard-unguarded', 'copied-unsettled', 'held-early']],
  [128, ['session-unheld', 'guard-short']],
  [129, ['parts-not-rolled-back']],
  [132, ['replay-goes-on']],
  [134, ['moved-and-kept']],
  [137, ['clone-answered-early']],
  [142, ['late-any-session']],
  [148, ['removal-other']],
  [149, ['guard-off']],
  [153, ['idle-deaf']],
  [156, ['group-apart', 'open-unheld']],
  [161, ['snapshot-shows-volume']],
  [170, ['copied-unsynced']],
  [175, ['removed-while-read']],
  [176, ['moved-open']],
  [178, ['reread-exec']],
  [183, ['tags-ignored']],
  [185, ['rolled-into-snapshot']],
  [189, ['other-snapshot', 'discard-shared', 'snapshot-unsynced']],
  [203, ['younger-told']],
  [210, ['replaced-elsewhere']],
  [217, ['described-before-cloned']],
  [218, ['moved-unsynced']],
  [224, ['lost-error']],
  [230, ['replay-error-ignored']],
  [231, ['kept-in-two-files']],
  [241, ['round-unsynced']],
  [246, ['moved-served']],
  [250, ['begun-at-the-end']],
  [273, ['diff-first-only']],
  [301, ['group-in-part']],
  [306, ['record-same-id']],
  [307, ['confirm-unchecked', 'promise-volatile']],
  [320, ['config-unpromised', 'promise-falls', 'config-volatile']],
  [334, ['attach-beside-leaving']],
  [339, ['removal-unsynced']],
  [347, ['detach-unawaited']],
  [355, ['reads-in-resend']],
  [365, ['revoke-unawaited']],
  [367, ['parts-unsynced']],
  [428, ['moved-unmarked']],
  [432, ['settle-reachable']],
  [493, ['diff-unsynced']],
  [694, ['moved-without-rest']],
  [875, ['opened-while-removed']],
  [3014, ['revoke-unproven', 'revoke-unsynced']],
  [3028, ['revoke-volatile']],
  [3518, ['revoke-unsettled']],
];

/** Mutants that an explorer finds, with the seed of the explorer's world. */
const EXPLORED: readonly (readonly [seed: number, mutants: readonly string[]])[] = [
  [
    1,
    [
      'given-up-receives',
      'fence-late',
      'no-revoke',
      'standby-keeps',
      'taken-back-at-once',
      'lost-shown',
      'no-opening-sync',
      'no-self-sync',
      'ack-early',
      'gone-uncounted',
      'o1-acked-only',
      'read-any',
      'read-lock-one-way',
      'map-volatile',
      'audit-late',
      'audit-done-only',
      'map-unset',
      'map-unsynced',
      'clear-unflushed',
      'detach-copies',
      'clean-not-cleared',
      'size-early',
      'lost-record-opens',
      'newer-beside-older',
      'opened-beside',
      'term-beside',
      'record-unchecked',
      'record-beside',
      'busy-fused',
    ],
  ],
  [
    2,
    [
      'witness-first',
      'early-ccr',
      'admin-only',
      'source-unflushed',
      'flush-one',
      'join-noflush',
      'identity-ignored',
      'one-step',
      'moment-unlocked',
    ],
  ],
  [
    3,
    [
      'refusal-counts',
      'lost-unnoticed',
      'read-from-returning',
      'beyond-zero',
      'beyond-cleared',
      'clear-early',
      'joint-old-only',
      'reopen-leaving',
      'record-given-up',
    ],
  ],
  [4, ['copy-unlocked', 'taken-answered']],
  [
    5,
    [
      'arrival',
      'spdk-ka',
      'minority',
      'claim-new-only',
      'both-ways',
      'unclean-as-clean',
      'settle-one-block',
      'copy-one-block',
      'lack-away',
      'lack-forgotten',
      'shrink-early',
      'closed-beside',
    ],
  ],
  [6, ['lack-untold', 'lack-not-kept']],
  [7, ['busy-compare']],
  [9, ['clear-pending', 'claim-first-voters', 'claim-old-only']],
  [11, ['map-target-only']],
  [13, ['lack-checkpoint-late']],
  [17, ['clear-unlocked']],
  [18, ['settle-any']],
  [19, ['moment-copied', 'grow-late']],
  [20, ['pending-last-only']],
  [21, ['resync-no-serial']],
  [24, ['no-recommit', 'joint-new-only']],
  [25, ['no-proof']],
  [26, ['repair-members-only', 'lack-yes-no']],
  [27, ['any-replica', 'cached-clock']],
  [29, ['returning-unwritten']],
  [31, ['repair-unsourced']],
  [32, ['no-settle-flush', 'lack-settled']],
  [34, ['present-ka', 'any-path']],
  [35, ['answer-survives', 'map-source-only', 'lack-map']],
  [43, ['no-grant']],
  [45, ['moment-unsettled']],
  [46, ['resync-unclaimed', 'lack-claim-only']],
  [56, ['read-unsettled']],
  [64, ['join-late']],
  [66, ['own-ping']],
  [75, ['join-ungrown']],
  [76, ['resync-forget']],
  [95, ['read-unchecked']],
  [131, ['no-seq']],
  [145, ['abandoned-settled']],
  [175, ['lack-last-only']],
  [180, ['stale-data']],
  [187, ['moment-unheld']],
  [223, ['resync-unsettled', 'no-recheck']],
  [266, ['grow-in-sync']],
  [336, ['lack-unflushed', 'lack-other-life']],
  [380, ['read-unconfirmed']],
  [426, ['clear-other-life']],
  [503, ['lack-part-diverged']],
  [522, ['confirmed-before']],
  [542, ['old-ping']],
  [955, ['reread-joined']],
  [1319, ['lack-begun']],
  [1590, ['read-while-pending']],
];

/** Mutants of farms, with the seed of the world of a farm. */
const FARMS: readonly (readonly [seed: number, mutants: readonly string[]])[] = [
  [1, ['ledger-unkept', 'notes-unkept', 'unfenced', 'fence-after-mount', 'life-kept', 'moved-unreplayed']],
  [
    2,
    [
      'swap-blind',
      'fence-last-only',
      'fence-unproven',
      'fence-expires',
      'cache-kept',
      'error-unlooked',
      'error-unprobed',
      'given-up-in-flight',
    ],
  ],
  [23, ['own-past-unfenced', 'ledger-late']],
  [37, ['freed-mounted']],
  [63, ['given-up-ends-hold']],
  [9001, ['forced-at-once']],
  [9015, ['look-for-ever']],
  [9080, ['look-in-memory']],
];

/** Mutants of replications, with the seed of the life. */
const REPLICATIONS: readonly (readonly [seed: number, mutants: readonly string[]])[] = [
  [1, ['moment-apart', 'confirmed-early', 'confirmed-removed', 'promoted-goes-on']],
  [2, ['any-incoming', 'begun-with-zeros', 'begun-with-oldest']],
  [3, ['sources-by-name']],
  [5, ['cut-is-whole']],
  [7, ['newest-removed', 'noted-ahead']],
  [9, ['home-first']],
  [11, ['commit-unchecked', 'other-file-continued']],
  [16, ['confirmed-unprotected']],
  [24, ['confirmed-back']],
  [105, ['ended-goes-on']],
  [146, ['promotion-begins-again']],
  [218, ['own-newest-promoted']],
];

/** Mutants of role changes, with the seed of the life. */
const ROLES: readonly (readonly [seed: number, mutants: readonly string[]])[] = [
  [1, ['taken-over-early', 'half-closed', 'home-follows-first', 'last-unclosed']],
  [9, ['demoted-while-served', 'kept-in-part']],
];

/** Mutants of consent, with the seed of the life. */
const CONSENTS: readonly (readonly [seed: number, mutants: readonly string[]])[] = [
  [1, ['remove-free']],
  [10, ['no-ancestry', 'again-drops', 'demote-needs-common']],
  [15, ['by-name']],
];

/** Mutants of mirrors that come back from an old image, with the seed of the life. */
const MIRROR_SOURCES: readonly (readonly [seed: number, mutants: readonly string[]])[] = [
  [2, ['unknown-forgotten']],
  [36, ['unknown-alone']],
];

/** Mutants of the orders at two servers, with the seed of the life. */
const ORDERS: readonly (readonly [seed: number, mutants: readonly string[]])[] = [
  [1, ['reopen-blind']],
  [2, ['close-on-higher', 'promote-keeps-epoch', 'demote-drops', 'promote-moments-only']],
  [12, ['want-counter']],
  [26, ['record-apart']],
  [33, ['no-consent']],
  [35, ['take-any']],
  [49, ['own-ids']],
  [53, ['term-counter']],
  [62, ['handed-blind']],
  [247, ['close-follows-any']],
];

/** Mutants of followers with carried content, with the seed of the life. */
const SEEDS: readonly (readonly [seed: number, mutants: readonly string[]])[] = [
  [17, ['compared-from-position']],
  [23, ['carried-not-compared', 'compared-until-cut']],
];

/** Mutants of orders that name volumes, with the seed of the life. */
const NAMES: readonly (readonly [seed: number, mutants: readonly string[]])[] = [
  [1, ['scheduled-by-name']],
  [3, ['retained-by-name']],
];

/** Mutants of owners, backups and ages, with the seed of the world. */
const DECIDERS: readonly (readonly [seed: number, mutants: readonly string[]])[] = [
  [1, ['owner-ignored', 'link-uncompared', 'link-by-length', 'removal-by-wall-clock']],
  [4, ['order-as-person']],
];

/** Mutants of votes, takes of a pool, keys, replaced clients, shared logs, commands of clients and promises, with the seed of the world. */
const RULES_APART: readonly (readonly [seed: number, mutants: readonly string[]])[] = [
  [1, ['votes-unbounded', 'open-unpromised', 'term-revoked', 'never-unheeded', 'replaced-waits', 'shared-logged']],
  [1, ['answer-forgotten', 'lists-of-client', 'lists-of-all', 'answer-number-again', 'told-to-all', 'fence-volatile']],
  [2, ['place-keeps', 'taken-unfenced', 'key-uncleared', 'fence-impatient', 'damage-obeyed']],
  [3, ['record-for-all', 'claim-takes-over', 'told-after-only']],
  [4, ['change-unwanted']],
  [5, ['header-unchecked']],
  [6, ['rights-at-arrival']],
  [7, ['replaced-unproven']],
  [8, ['silent-at-once']],
  [18, ['claim-impatient']],
];

export const FINDER_SEEDS: readonly number[] = FINDERS.map(([seed]) => seed);

export const FOUND_AT: ReadonlyMap<string, number> = new Map(
  [FINDERS, EXPLORED, FARMS, REPLICATIONS, ROLES, CONSENTS, MIRROR_SOURCES, ORDERS, SEEDS, NAMES, DECIDERS, RULES_APART]
    .flat()
    .flatMap(([seed, mutants]) => mutants.map((name) => [name, seed])),
);
