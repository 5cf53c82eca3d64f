// The methods of rsiod about mirrors, and the shapes of their results. methods.ts includes them in rsiod's table. The rules for changing a
// table are in docs/CONTROL.md. Invariant: a field never disappears or changes its meaning within a version of the interface.

import { NAME_MAX_BYTES, UNIVERSE_MAX, VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import { CONTROL_TIMEOUT_MS, SERVER_CALL_MS } from '@rsio/common/control/limits';
import { flagParam, method, type Param } from '@rsio/common/control/method-table';
import { count, filledText, flag, list, number, object, type Of, optional, orNull, text, whole, word } from '@rsio/base/lib/shape';

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
  left: list(object({ server: text(), reason: text() }), 'Servers with a replica that have not executed the order: repeat it'),
});

export type MirrorAccess = Of<typeof MIRROR_ACCESS>;

const volumeName: Param<string> = { shape: filledText(), what: `the name of a mirror, at most ${NAME_MAX_BYTES} characters` };
const universe: Param<number> = { shape: whole(0, UNIVERSE_MAX), what: `a whole number from 0 to ${UNIVERSE_MAX}`, default: 0 };
const sizeBytes: Param<number> = { shape: whole(1, VOLUME_MAX_BYTES), what: 'a size in bytes' };
const blockSize: Param<number> = { shape: whole(512, 4096), what: '512 or 4096', default: 512 };
const poolOrNull: Param<string | null> = { shape: orNull(filledText()), what: 'the name of a pool or null', default: null };
/** The pools on individual servers. All other servers use the parameter `pool`. */
const serverPools: Param<readonly { readonly server: string; readonly pool: string }[] | undefined> = {
  shape: list(object({ server: filledText(), pool: filledText() })),
  what: 'a list of servers with their pools',
  default: [],
};
const request: Param<string | null> = { shape: orNull(filledText()), what: 'an id of at most 64 characters or null', default: null };
const clientName: Param<string> = { shape: filledText(), what: 'the name of a client' };
const serverName: Param<string> = { shape: filledText(), what: 'the name of a server' };
const serverOrNull: Param<string | null> = { shape: orNull(filledText()), what: 'the name of a server or null', default: null };
const namespaceOrNull: Param<string | null> = { shape: orNull(filledText()), what: 'the name of a namespace or null', default: null };

export const MIRROR_METHODS = {
  mirrors: method({
    help: 'The mirrors whose replicas the connected servers list, with what their voters have recorded; null: all namespaces',
    params: { namespace: namespaceOrNull },
    result: MIRRORS,
    waitMs: CONTROL_TIMEOUT_MS,
  }),
  'mirror-create': method({
    help: 'Makes a mirror: a volume on each server, its voters, and their first configuration. If a step fails, rsiod removes what it has made',
    params: {
      namespace: namespaceOrNull,
      name: volumeName,
      universe,
      sizeBytes,
      blockSizeBytes: blockSize,
      servers: { shape: list(filledText()), what: 'a list of server names' },
      witness: { shape: orNull(filledText()), what: 'the name of a server or null', default: null },
      pool: poolOrNull,
      pools: serverPools,
      request,
    },
    result: object({ mirror: MIRROR, warnings: list(text()) }),
    waitMs: SERVER_CALL_MS,
  }),
  'mirror-remove': method({
    help: 'Dissolves a mirror that no client has attached. Its replicas become plain volumes, or are removed',
    params: {
      namespace: namespaceOrNull,
      name: volumeName,
      universe,
      volumes: flagParam,
      force: flagParam,
      id: { shape: orNull(filledText()), what: 'the id of the mirror or null', default: null },
    },
    result: REMOVED_MIRROR,
    waitMs: SERVER_CALL_MS,
  }),
  'mirror-grow': method({
    help: 'Makes an attached mirror larger, also while it is used: first its replicas, then the mirror',
    params: { namespace: namespaceOrNull, name: volumeName, universe, sizeBytes },
    result: object({ namespace: text(), name: text(), universe: count(), fromBytes: count('Size before'), sizeBytes: count() }),
    waitMs: SERVER_CALL_MS,
  }),
  'mirror-snapshot': method({
    help: 'Makes a snapshot of a mirror that is attached here: of its replicas in sync, at one moment, under one name and id',
    params: {
      namespace: namespaceOrNull,
      name: volumeName,
      universe,
      snapshot: { shape: filledText(), what: 'the name of a snapshot' },
      id: { shape: filledText(), what: 'a UUID, the same if the request is sent again' },
    },
    result: MIRROR_SNAPSHOT,
    waitMs: SERVER_CALL_MS,
  }),
  'mirror-revoke': method({
    help: 'Takes a mirror away from a client, at all servers with a replica. If a server is missing, a majority of the voters proves it',
    params: { namespace: namespaceOrNull, name: volumeName, universe, client: clientName },
    result: MIRROR_ACCESS,
    waitMs: SERVER_CALL_MS,
  }),
  'mirror-allow': method({
    help: 'Lets a client attach a mirror, at all servers with a replica',
    params: { namespace: namespaceOrNull, name: volumeName, universe, client: clientName },
    result: MIRROR_ACCESS,
    waitMs: SERVER_CALL_MS,
  }),
  'mirror-force': method({
    help: 'Makes a new mirror of the replicas that are left of a mirror whose voters are gone. With seen = null, only says what would be lost',
    params: {
      namespace: namespaceOrNull,
      name: volumeName,
      universe,
      servers: { shape: list(filledText()), what: 'a list of server names' },
      stale: flagParam,
      seen: { shape: orNull(filledText()), what: 'the field seen of an answer or null', default: null },
    },
    result: FORCED_MIRROR,
    waitMs: SERVER_CALL_MS,
  }),
  'mirror-add': method({
    help: 'Makes a replica of an attached mirror on one more server, which votes from then on. Its data is copied afterwards',
    params: { namespace: namespaceOrNull, name: volumeName, universe, server: serverName, pool: poolOrNull, request },
    result: CHANGED_MIRROR,
    waitMs: SERVER_CALL_MS,
  }),
  'mirror-detach': method({
    help: 'Removes the replica of a server from an attached mirror. Its volume becomes a plain one, or is removed',
    params: { namespace: namespaceOrNull, name: volumeName, universe, server: serverName, volume: flagParam },
    result: CHANGED_MIRROR,
    waitMs: SERVER_CALL_MS,
  }),
  'mirror-replace': method({
    help: 'Replaces the replica and the vote of a server, which may be away, by those of another one',
    params: {
      namespace: namespaceOrNull,
      name: volumeName,
      universe,
      server: serverName,
      with: { shape: filledText(), what: 'the name of the new server' },
      pool: poolOrNull,
      request,
    },
    result: CHANGED_MIRROR,
    waitMs: SERVER_CALL_MS,
  }),
  'mirror-witness': method({
    help: 'Changes the server that votes for an attached mirror and has no replica of it; null: there is none',
    params: {
      namespace: namespaceOrNull,
      name: volumeName,
      universe,
      witness: { shape: orNull(filledText()), what: 'the name of a server or null' },
    },
    result: CHANGED_MIRROR,
    waitMs: SERVER_CALL_MS,
  }),
  'mirror-verify': method({
    help: 'Begins to compare the replicas in sync of a mirror that is attached here, by checksums on their servers',
    params: { namespace: namespaceOrNull, name: volumeName, universe, repair: flagParam, from: serverOrNull },
    result: VERIFIED,
    waitMs: CONTROL_TIMEOUT_MS,
  }),
  'mirror-verification': method({
    help: 'Progress and findings of the last comparison of replicas',
    params: { namespace: namespaceOrNull, name: volumeName, universe },
    result: VERIFIED,
    waitMs: CONTROL_TIMEOUT_MS,
  }),
  'mirror-verify-stop': method({
    help: 'Ends a comparison of replicas',
    params: { namespace: namespaceOrNull, name: volumeName, universe },
    result: VERIFIED,
    waitMs: CONTROL_TIMEOUT_MS,
  }),
} as const;
