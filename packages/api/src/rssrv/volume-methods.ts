// The methods of rssrv about volumes. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a handler for each method
// (admin/volume-handlers.ts),

import { PAUSE_MAX_MS, PAUSE_MIN_MS, PAUSE_MS, SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { usageError } from '@rsio/common/cli/command';
import { duration } from '@rsio/common/config/schema/value-types';
import { escapeControls } from '@rsio/base/lib/printable';
import { printDuration, shownSize } from '@rsio/base/lib/units';
import { flagParam, type Param } from '@rsio/common/control/method-table';
import { count, filledText, flag, list, object, text, textThat, whole } from '@rsio/base/lib/shape';
import {
  blockSize,
  chunkBytes,
  clients,
  goesOnIn,
  newSettings,
  ofMirror,
  olderMs,
  poolOrNull,
  poolsOrNull,
  removedId,
  removedName,
  settings,
  sizeBytes,
  universe,
  volumeName,
} from './params.ts';
import type { CommandScene } from './method-command.ts';
import { serverMethod } from './server-method.ts';
import { haltText, volumeDetails } from '../views/server-tables.ts';
import { poolNameType, volumeSize } from '../views/values.ts';
import { type ManagedVolumeView, REMOVED, SNAPSHOT, VOLUME } from '../views/views.ts';

const changed = object({ volume: VOLUME });

const NOTE_MAX_CHARS = 200;
/** A note for people: one line. */
export const VOLUME_NOTE = textThat(
  (text) => text.length <= NOTE_MAX_CHARS && !/\p{C}/u.test(text),
  `one line of at most ${NOTE_MAX_CHARS} characters`,
);

export const VOLUME_METHODS = {
  'volume-list': serverMethod({
    help: 'The volumes of the server, in all pools or in one',
    right: 'use',
    reads: true,
    shows: { volumes: 'volume', removed: 'removed' },
    params: { pool: poolOrNull },
    result: object({ volumes: list(VOLUME), removed: list(REMOVED, 'Removed volumes that can be restored') }),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume list', because: '--removed chooses what is printed, and rsconfig asks all servers' },
  }),
  'volume-show': serverMethod({
    help: 'One volume with its snapshots',
    right: 'use',
    reads: true,
    shows: { volume: 'volume', snapshots: 'snapshot' },
    params: { name: volumeName, universe },
    result: object({ volume: VOLUME, snapshots: list(SNAPSHOT, 'The oldest first') }),
    command: {
      words: 'volume show',
      about: 'volume',
      purpose: 'show',
      summary: 'shows everything about a volume',
      example: 'volume show oracle',
      says: ({ volume, snapshots }, { label, server, nowMs }) => ({
        block: volumeDetails(volume, label(volume), server, snapshots, nowMs),
      }),
    },
  }),
  'volume-create': serverMethod({
    help: 'Creates a volume in a pool',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: {
      name: volumeName,
      universe,
      sizeBytes,
      blockSizeBytes: blockSize,
      pool: poolOrNull,
      pools: poolsOrNull,
      chunkBytes,
      thick: flagParam,
      readonly: flagParam,
      shared: flagParam,
      clients,
      takeOver: clients,
      takeOverForce: flagParam,
      settings: newSettings,
    },
    result: changed,
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume create', because: 'it may find the volume, or attach it' },
  }),
  'volume-grow': serverMethod({
    help: 'Makes a volume larger. A replica grows only if the request names its mirror, as the requests of its holder do',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: { name: volumeName, universe, sizeBytes, pool: goesOnIn, mirror: ofMirror },
    result: changed,
    waitMs: SERVER_CHANGE_MS,
    command: {
      words: 'volume grow',
      about: 'volume',
      operands: [{ param: 'sizeBytes', value: 'SIZE', type: volumeSize }],
      options: { pool: { param: 'pool', value: 'P', type: poolNameType, help: 'pool in which a volume made with --concat continues' } },
      summary: 'makes a volume larger, even while clients use it',
      details: `A volume made with --stripe grows in all of its pools, and a volume made with
--concat in its last pool. With --pool, a volume made with --concat continues in
that pool; no client may use the volume during the command.`,
      example: 'volume grow oracle 20g',
      says: ({ volume }, { label }) => ({
        lines: [`${label(volume)} now has ${shownSize(volume.sizeBytes)}`],
        warnings: volume.overcommit === undefined ? [] : [volume.overcommit],
      }),
    },
  }),
  'volume-rename': serverMethod({
    help: 'Gives a volume another name; no client may hold it',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: { name: volumeName, universe, newName: volumeName, newUniverse: universe },
    result: changed,
    waitMs: SERVER_CHANGE_MS,
    command: {
      words: 'volume rename',
      about: 'volume',
      operands: [
        {
          value: 'NEW',
          volume: ({ name, universe: inUniverse }, { volume, label, program }) => {
            if (name === volume.name && inUniverse === volume.universe)
              throw usageError(`Volume ${label(volume)} already has this name: give another one`, program);
            return { newName: name, newUniverse: inUniverse };
          },
        },
      ],
      summary: 'gives a volume another name; no client may hold it',
      details: 'Without @, NEW is a name in universe 0, as every NAME is.',
      example: 'volume rename oracle ledger',
      says: (answer, { label, volume }) => `${label(volume)} is now ${label(answer.volume)}`,
    },
  }),
  'volume-set': serverMethod({
    help: 'Changes settings of a volume',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: {
      name: volumeName,
      universe,
      settings,
    },
    result: changed,
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume set', because: 'it takes any number of settings, and names clients that the server does not know' },
  }),
  'volume-annotate': serverMethod({
    help: 'Gives a volume a note for people; an empty text removes the note',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: { name: volumeName, universe, note: { shape: VOLUME_NOTE, what: `one line of at most ${NOTE_MAX_CHARS} characters` } },
    result: changed,
    waitMs: SERVER_CHANGE_MS,
    command: {
      words: 'volume annotate',
      about: 'volume',
      operands: [{ param: 'note', value: 'TEXT' }],
      summary: 'gives a volume a note for people',
      details: `volume list and volume show have the note. An empty TEXT ('') removes it.`,
      example: 'volume annotate oracle ledger',
      says: ({ volume }, { label }, { note }) =>
        note === '' ? `${label(volume)} has no note now` : `${label(volume)} has the note: ${escapeControls(note)}`,
    },
  }),
  'volume-remove': serverMethod({
    help: 'Removes a volume that no client holds; it can be restored for a day',
    right: 'manage',
    repeats: 'journal',
    shows: { removed: 'removed' },
    params: { name: volumeName, universe },
    result: object({ removed: REMOVED }),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume remove', because: 'it asks for consent, and removes snapshots, too' },
  }),
  'volume-restore': serverMethod({
    help: 'Brings back a removed volume',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: { name: volumeName, universe },
    result: changed,
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume restore', because: 'it also restores the content of an image' },
  }),
  'volume-purge': serverMethod({
    help: 'Deletes removed volumes for good. A client can delete only those that it has created',
    right: 'manage',
    repeats: 'journal',
    shows: { purged: 'removed' },
    params: { name: removedName, universe, id: removedId, olderMs },
    result: object({
      purged: list(REMOVED, 'What was deleted'),
      left: count('Number of volumes that match, but were not deleted in this answer; send the request again for them'),
    }),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume purge', because: 'it asks for consent, and repeats the request until nothing is left' },
  }),
} as const;

const client: Param<string> = { shape: filledText(), what: 'the name of a client' };

/** Fields of the results of ACCESS_METHODS. */
export const REVOKED = {
  volume: VOLUME,
  client: text(),
  wasHeld: flag('The client had the volume or a snapshot of it, and this order has ended that'),
};
export const ALLOWED = { volume: VOLUME, client: text() };

/** Methods about the clients that may attach a volume. Each method may be executed twice without harm. */
export const ACCESS_METHODS = {
  'volume-revoke': serverMethod({
    help: 'Takes a volume away from a client: the answer comes when none of its requests on the volume can run at this server any more, its writes are on disk, and it may not attach the volume again',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: { name: volumeName, universe, client },
    result: object(REVOKED),
    waitMs: SERVER_CHANGE_MS,
    command: {
      words: 'volume revoke',
      about: 'volume',
      operands: [{ param: 'client', value: 'CLIENT' }],
      summary: 'takes a volume away from a client, with proof',
      details: `The client leaves the list of clients that may attach the volume. After success,
no request of the client on the volume can run any more, even if the client is
cut off or stands still, and all its writes are on disk. If the client comes
back, its I/O on the volume fails. Its other volumes are not affected. If the
storage may have lost writes that only the client still has, the command fails
and says so. If requests of the client still run after 30 s, the command fails;
repeat it to wait again. The list must name clients; for a list of all clients,
volume set clients=NAMES comes first.`,
      example: 'volume revoke oracle big-7',
      says: ({ volume, client: name, wasHeld }, { label }) =>
        `${label(volume)} ${wasHeld ? 'was taken away from' : 'was not held by'} ${escapeControls(name)}, which may not attach it any more`,
    },
  }),
  'volume-allow': serverMethod({
    help: 'Lets a client attach a volume',
    right: 'manage',
    repeats: 'journal',
    shows: { volume: 'volume' },
    params: { name: volumeName, universe, client },
    result: object(ALLOWED),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'volume allow', because: 'it names clients that the server does not know' },
  }),
} as const;

const forMs: Param<number> = {
  shape: whole(PAUSE_MIN_MS, PAUSE_MAX_MS),
  what: `a time in ms from ${PAUSE_MIN_MS} to ${PAUSE_MAX_MS}`,
  default: PAUSE_MS,
};

function halted({ volume }: { readonly volume: ManagedVolumeView }, { label }: CommandScene): string {
  return `${label(volume)} is ${haltText(volume) ?? 'served'}`;
}

/** Methods that hold or refuse the I/O of a volume. Each method may be executed twice without harm. */
export const HALT_METHODS = {
  'volume-pause': serverMethod({
    help: 'Holds all I/O of a volume until volume-resume, for the given time at most',
    right: 'admin',
    repeats: 'harmless',
    params: { name: volumeName, universe, forMs },
    result: changed,
    command: {
      words: 'volume pause',
      about: 'volume',
      options: {
        for: { param: 'forMs', value: 'TIME', type: duration(PAUSE_MIN_MS, PAUSE_MAX_MS), help: 'end the pause after TIME, such as 2m' },
      },
      summary: 'makes all I/O of a volume wait',
      details: `Programs on the clients wait until volume resume or until TIME is over, from
${printDuration(PAUSE_MIN_MS)} to ${printDuration(PAUSE_MAX_MS)}; the default is ${printDuration(PAUSE_MS)}. I/O in progress completes, and flushes do not
wait. A restart of the server ends the pause; a reload does not.`,
      example: 'volume pause oracle --for 2m',
      says: halted,
    },
  }),
  'volume-resume': serverMethod({
    help: 'Ends a pause',
    right: 'admin',
    repeats: 'harmless',
    params: { name: volumeName, universe },
    result: changed,
    command: {
      words: 'volume resume',
      about: 'volume',
      summary: 'lets I/O continue after volume pause',
      example: 'volume resume oracle',
      says: halted,
    },
  }),
  'volume-stop': serverMethod({
    help: 'Refuses all I/O of a volume until volume-start, also after a restart of the server',
    right: 'admin',
    repeats: 'harmless',
    params: { name: volumeName, universe },
    result: changed,
    command: {
      words: 'volume stop',
      about: 'volume',
      summary: 'refuses all I/O of a volume',
      details: `I/O fails on the clients until volume start, even after a restart of the server
or a reload. Data that was written before is kept, and can still be flushed.`,
      example: 'volume stop oracle',
      says: halted,
    },
  }),
  'volume-start': serverMethod({
    help: 'Ends a stop',
    right: 'admin',
    repeats: 'harmless',
    params: { name: volumeName, universe },
    result: changed,
    command: {
      words: 'volume start',
      about: 'volume',
      summary: 'permits I/O again after volume stop',
      example: 'volume start oracle',
      says: halted,
    },
  }),
} as const;
