// The one table of states of a volume and verbs: whether a verb is refused while the volume is in a state, with the error and the remedy. Pure.
// Invariant: every verb asks this table, and no handler checks a state on its own, so that a new state or a new verb has all of its cells.
// verb-table.test.ts runs each cell on a real pool.

import { type ErrorCode, RsError } from '@rsio/base/lib/errors';
import type { Asker } from './asker.ts';
import { busyText, type Found, type PoolState, volumeText } from './catalogue.ts';
import { following, followsText, handedOverText } from './follower-rules.ts';
import { replicaText } from './replica-rules.ts';
import { checkNoSource, replicationOf } from './source-marks.ts';
import { growsByRefresh, refreshingText } from './repair/image-repair.ts';
import { mayBeLeft, movingText } from './repair/move-repair.ts';

/** What a refusal may depend on, besides the volume. */
export interface Asked {
  readonly pools: readonly PoolState[];
  readonly asker: Asker;
}

interface StateRule {
  readonly code: ErrorCode;
  readonly is: (found: Found, asked: Asked) => boolean;
  /** Returns the sentence of the refusal, with its remedy. `what`: what the verb does, such as `be renamed`. */
  readonly text: (found: Found, what: string, asked: Asked) => string;
}

const USAGE = 'E_USAGE';
const BUSY = 'E_BUSY';

/** Also every state in which a volume is unfinished, because the server was stopped or a pool is absent. A plain volume is in none of them. */
const STATES = {
  'snapshot in the making': {
    code: BUSY,
    is: (found) => busyText(found) !== null,
    text: (found) => busyText(found) ?? '',
  },
  'unfinished snapshot': {
    code: BUSY,
    is: ({ pool, manifest }) => (pool.snapshots.get(manifest.id)?.pending.length ?? 0) > 0,
    text: ({ manifest }) =>
      `A snapshot of volume ${volumeText(manifest)} is not finished, because another pool is absent: see rsadm pool check`,
  },
  'unfinished refresh': {
    code: BUSY,
    is: ({ manifest }) => manifest.image?.next !== undefined,
    text: ({ manifest }) => refreshingText(manifest),
  },
  'last step of a move': {
    code: BUSY,
    is: ({ manifest }) => manifest.movedTo !== undefined,
    text: ({ manifest }) => movingText(manifest),
  },
  // The pool that the volume came from in an earlier move may still have the old files. When that pool is opened, the server deletes these
  // files only if it finds the volume in its current pool. If the volume had moved on by then, the server would serve the old files.
  'left behind': {
    code: BUSY,
    is: ({ manifest }, { pools }) => mayBeLeft(manifest, pools),
    text: ({ manifest }) =>
      `Volume ${volumeText(manifest)} was moved from pool id ${manifest.movedFrom ?? ''}, which may still have it: mount that pool, then run rsadm reload`,
  },
  'handed over': {
    code: BUSY,
    is: ({ manifest }) => manifest.replication?.handOver !== undefined,
    text: ({ manifest }, what) => handedOverText(manifest, what),
  },
  follower: {
    code: USAGE,
    is: (found) => following(found.manifest) !== null && hasSnapshots(found),
    text: ({ manifest }, what) => followsText(manifest, what),
  },
  'empty follower': {
    code: USAGE,
    is: (found) => following(found.manifest) !== null && !hasSnapshots(found),
    text: ({ manifest }, what) => followsText(manifest, what),
  },
  replica: {
    code: USAGE,
    is: ({ manifest }) => manifest.replica !== undefined,
    text: ({ manifest }, what) => replicaText(manifest, what),
  },
  source: {
    code: USAGE,
    is: ({ manifest }, { pools }) => manifest.replica === undefined && isKnown(replicationOf(pools, manifest)),
    text: ({ manifest }, what, { pools, asker }) => thrownBy(() => checkNoSource(pools, manifest, asker, what)),
  },
  'perhaps a source': {
    code: 'E_POOL',
    is: ({ manifest }, { pools }) => manifest.replica === undefined && replicationOf(pools, manifest) === 'unknown',
    text: ({ manifest }, what, { pools, asker }) => thrownBy(() => checkNoSource(pools, manifest, asker, what)),
  },
  image: {
    code: USAGE,
    is: ({ manifest }) => manifest.image !== undefined,
    text: ({ manifest }) => growsByRefresh(manifest),
  },
  'several files': {
    code: USAGE,
    is: ({ manifest }) => manifest.layout.kind !== 'simple',
    text: ({ manifest }, what) =>
      `Volume ${volumeText(manifest)} has several files (${manifest.layout.kind}), and cannot ${what}: volume copy ${volumeText(manifest)} NEW makes a volume of one file`,
  },
} as const satisfies Record<string, StateRule>;

export type State = keyof typeof STATES;

/** `findVolume` refuses every verb in these states, because only another pool tells what the volume is. */
const UNFINISHED: readonly State[] = ['last step of a move', 'unfinished refresh'];

interface VerbRule {
  readonly what: string;
  /** The states that refuse the verb. The first one that the volume is in gives the error. */
  readonly refusedIn: readonly State[];
  /** Sentences that say more than the sentence of the state. */
  readonly texts?: Partial<Record<State, StateRule['text']>>;
}

const FOLLOWERS = ['handed over', 'follower', 'empty follower'] as const;
const IN_THE_MAKING = 'snapshot in the making' as const;

const ONE_FILE = 'images are of volumes of one file';

const VERB_RULES = {
  grow: {
    what: 'grow by a command',
    refusedIn: ['replica', ...FOLLOWERS, IN_THE_MAKING, 'image'],
    texts: {
      replica: ({ manifest }) =>
        `Volume ${volumeText(manifest)} is a replica of mirror ${manifest.replica?.mirror}, and grows with it: rsconfig mirror grow ${volumeText(manifest)} SIZE, ` +
        'on the client that has the mirror attached',
    },
  },
  'grow with its mirror': { what: 'grow', refusedIn: [...FOLLOWERS, IN_THE_MAKING, 'image'] },
  rename: { what: 'be renamed', refusedIn: [IN_THE_MAKING, 'replica'] },
  remove: { what: 'be removed', refusedIn: [IN_THE_MAKING, 'replica', 'handed over', 'follower', 'source', 'perhaps a source'] },
  'set a schedule': {
    what: 'have a schedule',
    refusedIn: [...FOLLOWERS, 'replica'],
    // Only the holder of a mirror makes its snapshots, because only the holder knows whether a replica has all writes (M22).
    texts: {
      replica: ({ manifest }) =>
        replicaText(manifest, 'have a schedule: a timer on the client that has the mirror runs rsconfig volume snapshot'),
    },
  },
  'set shared or read-only': { what: 'be shared or read-only', refusedIn: [...FOLLOWERS, 'replica'] },
  // A follower whose files were restored must be confirmed before its promotion.
  'confirm another file': { what: 'get another file', refusedIn: ['handed over', 'replica'] },
  snapshot: {
    what: 'have snapshots other than its moments',
    refusedIn: ['replica', ...FOLLOWERS, IN_THE_MAKING],
    texts: { replica: lacksWrites },
  },
  'make a moment': { what: 'have a moment', refusedIn: ['replica', IN_THE_MAKING], texts: { replica: lacksWrites } },
  'snapshot with its mirror': { what: 'have snapshots other than its moments', refusedIn: [...FOLLOWERS, IN_THE_MAKING] },
  'make a moment with its mirror': { what: 'have a moment', refusedIn: [IN_THE_MAKING] },
  'change the content': { what: 'get other content', refusedIn: ['replica', ...FOLLOWERS, IN_THE_MAKING] },
  move: {
    what: 'move',
    refusedIn: ['replica', ...FOLLOWERS, 'several files', 'left behind', IN_THE_MAKING, 'unfinished snapshot'],
    texts: {
      'several files': ({ pool, manifest }) =>
        `Volume ${volumeText(manifest)} has several files (${manifest.layout.kind}): give --from Q for the pool whose files of it move; its first file stays in pool ${pool.name}`,
    },
  },
  'move a file': { what: 'move', refusedIn: [IN_THE_MAKING, 'unfinished snapshot'] },
  copy: { what: 'be copied without the name of a moment (NAME@MOMENT)', refusedIn: FOLLOWERS },
  export: {
    what: 'be copied without the name of a moment (NAME@MOMENT)',
    refusedIn: [...FOLLOWERS, 'several files'],
    texts: { 'several files': exportsOneFile },
  },
  'export a snapshot': { what: 'be copied', refusedIn: ['several files'], texts: { 'several files': exportsOneFile } },
  'make an image': { what: 'have images', refusedIn: ['several files', ...FOLLOWERS], texts: { 'several files': ofOneFile } },
  'refresh an image': { what: 'be refreshed', refusedIn: ['several files', IN_THE_MAKING], texts: { 'several files': ofOneFile } },
  'restore from an image': {
    what: 'get other content',
    refusedIn: ['several files', 'replica', ...FOLLOWERS, IN_THE_MAKING],
    texts: { 'several files': ofOneFile },
  },
  compare: { what: 'be compared without the name of a second moment', refusedIn: FOLLOWERS },
  'become a replica': {
    what: 'become a replica of a mirror',
    refusedIn: [...FOLLOWERS, 'image', 'several files', 'source', 'perhaps a source', IN_THE_MAKING],
    texts: {
      image: ({ manifest }) =>
        `Volume ${volumeText(manifest)} cannot become a replica of a mirror, because it is an image: rsadm volume split ${volumeText(manifest)} makes it an ordinary volume`,
      'several files': ({ manifest }) =>
        `Volume ${volumeText(manifest)} cannot become a replica of a mirror, because it has files in several pools: use a volume of one pool`,
    },
  },
  'stop serving': { what: 'be closed', refusedIn: [IN_THE_MAKING] },
} as const satisfies Record<string, VerbRule>;

export type Verb = keyof typeof VERB_RULES;

export const ALL_STATES = Object.keys(STATES) as readonly State[];
export const ALL_VERBS = Object.keys(VERB_RULES) as readonly Verb[];

/** Returns the code of the refusal of the verb for a volume that is only in this state; null if the verb is permitted. */
export function cellOf(verb: Verb, state: State): ErrorCode | null {
  const rule: VerbRule = VERB_RULES[verb];
  return [...UNFINISHED, ...rule.refusedIn].includes(state) ? STATES[state].code : null;
}

/** Throws the refusal if the volume is in a state that refuses the verb. */
export function checkVerb(verb: Verb, found: Found, asked: Asked): void {
  const { what, refusedIn, texts = {} }: VerbRule = VERB_RULES[verb];
  for (const state of [...UNFINISHED, ...refusedIn]) {
    const rule: StateRule = STATES[state];
    if (!rule.is(found, asked)) continue;
    throw new RsError(rule.code, (texts[state] ?? rule.text)(found, what, asked), contextOf(found));
  }
}

function contextOf({ manifest: { name, universe, follower, replica } }: Found): Record<string, string> {
  return {
    volume: volumeText({ name, universe }),
    ...(replica === undefined ? {} : { mirror: replica.mirror }),
    ...(follower === undefined ? {} : { peer: follower.peer }),
  };
}

function lacksWrites({ manifest }: Found): string {
  const text = volumeText(manifest);
  return (
    `Volume ${text} is a replica of mirror ${manifest.replica?.mirror}, which may lack writes: snapshots of the mirror are made on the client that has it attached ` +
    `(rsconfig volume snapshot ${text}@NAME, without --server)`
  );
}

function exportsOneFile({ manifest }: Found): string {
  const text = volumeText(manifest);
  return (
    `Volume ${text} has several files (${manifest.layout.kind}), and a file or NBD server gets copies of one file: ` +
    `volume copy ${text} NEW --pool P first makes a volume of one file`
  );
}

function ofOneFile({ manifest }: Found): string {
  const text = volumeText(manifest);
  return `Volume ${text} has several files (${manifest.layout.kind}), and ${ONE_FILE}: volume copy ${text} NEW makes such a volume of it`;
}

function hasSnapshots({ pool, manifest }: Found): boolean {
  return (pool.snapshots.get(manifest.id)?.list.length ?? 0) > 0;
}

function isKnown(replication: ReturnType<typeof replicationOf>): boolean {
  return replication !== null && replication !== 'unknown';
}

/** Returns the sentence of a rule that throws. */
function thrownBy(work: () => void): string {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof RsError) return thrown.message;
    throw thrown;
  }
  return '';
}
