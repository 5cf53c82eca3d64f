// The shapes of what rsiod answers about mirrors. The rules for changing a shape are in docs/CONTROL.md. Invariant: a field never disappears
// or changes its meaning within a version of the interface.

import { count, flag, list, number, object, type Of, optional, orNull, text, word } from '@rsio/base/lib/shape';

const REPLICA = object({
  server: text('Name of the server; `server N` with its serverid if this client never reached it'),
  serverid: count(),
  volume: text(),
  universe: count(),
  inSync: flag('In sync, by the last configuration that the voters have'),
  isReachable: flag('The server answers, and can use the replica'),
  isSilent: flag('The server does not answer, or is not connected'),
  copy: orNull(
    object({
      state: word(['behind', 'copying'], 'As in the status of the attached mirror'),
      leftBytes: orNull(count('Bytes still to be copied; null: not known')),
      bytesPerSecond: orNull(number()),
      etaMs: orNull(number('Time until all is copied; null: unknown')),
    }),
    'null: it is in sync, or the mirror is not attached on this machine',
  ),
});

const VOTER = object({
  server: text('As in replicas'),
  serverid: count(),
  answers: flag('It has its record of the mirror, and answers'),
  isSilent: flag('As in replicas; if both flags are false, the server answers, but has lost its record or does not tell it'),
  trouble: orNull(text('Why it does not vote; null if it does')),
});

/** A mirror that is attached on this machine. */
export const ATTACHED_MIRROR = object({
  volume: text(),
  term: count('Number of the claim'),
  waitsFor: orNull(text(), 'What the mirror lacks and waits for; null: nothing'),
  replicas: list(
    object({
      server: text(),
      state: word(
        ['in sync', 'behind', 'copying'],
        'behind: the mirror continues without this replica; copying: the replica is back, and gets the writes that it has missed',
      ),
      isOpen: flag('The client has a session with it'),
      leftBytes: orNull(count('Bytes still to be copied; null: none')),
      /** Missing before release 0.3.0. */
      copiedBytes: optional(orNull(count('Bytes copied since the copy began; null: none is copied'))),
      bytesPerSecond: orNull(number()),
      etaMs: orNull(number('Time until all is copied; null: unknown')),
    }),
  ),
});
export type AttachedMirrorView = Of<typeof ATTACHED_MIRROR>;

export const MIRROR = object({
  namespace: text(),
  name: text(),
  universe: count(),
  mirror: text('Id of the mirror'),
  state: word(
    ['known', 'unfinished', 'unknown'],
    'known: the voters that answer have a configuration; unfinished: no voter has one, because making or removing the mirror was interrupted; unknown: no voter answers',
  ),
  sizeBytes: orNull(count(), 'null: not known'),
  replicas: list(REPLICA),
  stale: optional(
    list(
      object({ server: text('As in replicas'), serverid: count(), volume: text(), universe: count() }),
      'Volumes that were replicas until their servers were replaced while they were away; they lack writes, and no client uses them',
    ),
  ),
  voters: list(VOTER),
  majority: count('Voters that must answer'),
  holder: orNull(text('Client that has the mirror attached, or has ended without detaching it'), 'null: none'),
  /** Missing before release 0.3.0. */
  isOnlyClaimed: optional(flag('The holder has claimed the mirror, and the voters that answer have no configuration of this claim')),
});

export type MirrorSummary = Of<typeof MIRROR>;

export const MIRRORS = object({
  mirrors: list(MIRROR),
  gaps: list(text(), 'What could not be asked, so that mirrors may be missing'),
});

export const REMOVED_MIRROR = object({
  namespace: text(),
  name: text(),
  universe: count(),
  mirror: text('Id that the mirror had'),
  volumes: list(
    object({
      server: text(),
      volume: text(),
      universe: count(),
      inSync: flag('It has every write to the mirror'),
      isRemoved: flag('false: it is a plain volume now'),
    }),
    'The volumes that were its replicas',
  ),
  left: list(text(), 'What could not be removed, and what to do'),
});

export type RemovedMirror = Of<typeof REMOVED_MIRROR>;

/** A mirror after a change of its replicas or voters. */
export const CHANGED_MIRROR = object({
  mirror: MIRROR,
  warnings: list(text(), 'What to know, such as what a server that is away keeps'),
  left: list(text(), 'What could not be removed, and what to do'),
});

export type ChangedMirror = Of<typeof CHANGED_MIRROR>;

export const FORCED_MIRROR = object({
  namespace: text(),
  name: text(),
  universe: count(),
  replicas: list(object({ server: text(), inSync: flag('It counts as in sync from now on') }), 'The replicas of the mirror from now on'),
  voters: list(text(), 'The servers that vote from now on'),
  missing: list(text(), 'Servers of the old mirror that the new mirror does not have'),
  lost: list(text(), 'What may be lost, and what must not happen'),
  warnings: list(text()),
  seen: text('State that this answer describes; the request that makes the new mirror must contain it'),
  mirror: orNull(text('Id of the new mirror'), 'null: nothing was changed'),
  left: list(text(), 'What could not be removed of the old mirror, and what to do'),
});

export type ForcedMirror = Of<typeof FORCED_MIRROR>;

const VERIFICATION = object({
  volume: text(),
  isRunning: flag(),
  stopped: orNull(text(), 'Why it ended before everything was compared; null: it did not'),
  waitsFor: orNull(text(), 'null: nothing'),
  comparedBytes: count(),
  sizeBytes: count(),
  /** Missing before release 0.3.0. */
  bytesPerSecond: optional(count('Over the last seconds')),
  differentBytes: count('Bytes that differed, in units of 4 KiB'),
  repairedBytes: count('Of these, bytes that were copied from the right replica'),
  ranges: list(
    object({
      beginBytes: count(),
      endBytes: count(),
      servers: list(text(), 'Servers whose replica differs from the right one'),
      isRepaired: flag(),
    }),
    'The first 1000 ranges that differed',
  ),
  unreadBytes: count('Bytes that were not compared, because a server could not read them'),
  unread: orNull(text('The first such place'), 'null: there is none'),
});

export type VerificationView = Of<typeof VERIFICATION>;

export const VERIFIED = object({
  verification: orNull(VERIFICATION, 'null: the replicas were not compared since the mirror was attached'),
});

export const MIRROR_SNAPSHOT = object({
  namespace: text(),
  name: text(),
  universe: count(),
  snapshot: text('Name of the snapshot'),
  id: text('The same on all servers'),
  sizeBytes: count('Size of the mirror at that moment'),
  usedBytes: orNull(count('Space of its content on the first server; null if unknown')),
  createdMs: number(),
  mirror: text('Id of the mirror'),
  term: count(),
  number: count('Number of the moment in this term'),
  servers: list(text(), 'Servers that have it'),
  missing: list(object({ server: text(), reason: text() }), 'Servers of the mirror that do not have it'),
});

export type MirrorSnapshot = Of<typeof MIRROR_SNAPSHOT>;

export const MIRROR_ACCESS = object({
  namespace: text(),
  name: text(),
  universe: count(),
  mirror: text('Id of the mirror'),
  client: text(),
  servers: list(text(), 'Servers with a replica that have executed the order'),
  wasHeld: flag('The client had a replica on one of these servers, and the order has ended that'),
  isProven: flag('Nothing that the client sends to the mirror takes effect any more; always false for mirror-allow'),
  /** Missing before release 0.3.0. */
  stillHolds: optional(
    orNull(text('Why the client may still hold the mirror by its claim'), 'null: it does not, or the order was not to end the claim'),
  ),
  left: list(object({ server: text(), reason: text() }), 'Servers with a replica that have not executed the order: repeat it'),
});

export type MirrorAccess = Of<typeof MIRROR_ACCESS>;
