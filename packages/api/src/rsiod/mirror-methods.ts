// The methods of rsiod about mirrors. methods.ts includes them in rsiod's table. The rules for changing a table are in docs/CONTROL.md.
// Invariant: what could not be removed is printed, and a partial success ends with exit code 1.

import { NAME_MAX_BYTES, UNIVERSE_MAX, VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import { CONTROL_TIMEOUT_MS, SERVER_CALL_MS } from '@rsio/common/control/limits';
import { flagParam, type Param } from '@rsio/common/control/method-table';
import { count, filledText, list, object, orNull, text, whole } from '@rsio/base/lib/shape';
import { shownSize } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import type { Said } from '../views/command-text.ts';
import { changedText, mirrorTable, mirrorTroubles, removedText, twins } from '../views/mirror-texts.ts';
import {
  CHANGED_MIRROR,
  type ChangedMirror,
  FORCED_MIRROR,
  MIRROR,
  MIRROR_ACCESS,
  MIRROR_SNAPSHOT,
  MIRRORS,
  REMOVED_MIRROR,
  VERIFIED,
} from '../views/mirror-views.ts';
import { poolNameType, volumeSize } from '../views/values.ts';
import { clientMethod } from './client-method.ts';

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
const mirrorOrNull: Param<string | null> = { shape: orNull(filledText()), what: 'the id of the mirror or null', default: null };
/** Releases before 0.3.0 refuse this parameter. */
const onlyMirror = mirrorOrNull as Param<string | null | undefined>;
/** If it is true, the claim of the client ends at the voters, so that the next client needs no take-over. Refused before release 0.3.0. */
const endClaim = flagParam as Param<boolean | undefined>;
const namespaceOrNull: Param<string | null> = { shape: orNull(filledText()), what: 'the name of a namespace or null', default: null };

/** What a change of an attached mirror says; what could not be removed is also said with --json. */
export function changedSaid({ mirror, warnings, left }: ChangedMirror): Said {
  return { block: changedText(mirror), notes: warnings, ...remains(left) };
}

function remains(left: readonly string[]): Said {
  return { warnings: left.map((sentence) => `Left behind: ${sentence}`), ...(left.length === 0 ? {} : { code: 1 }) };
}

export const MIRROR_METHODS = {
  mirrors: clientMethod({
    help: 'The mirrors whose replicas the connected servers list, with what their voters have recorded; null: all namespaces',
    effect: 'reads',
    params: { namespace: namespaceOrNull },
    result: MIRRORS,
    waitMs: CONTROL_TIMEOUT_MS,
    command: {
      words: 'mirror list',
      about: 'machine',
      options: { namespace: { param: 'namespace', value: 'N', help: 'use only servers of namespace N' } },
      summary: 'lists the mirrors with their holders and replicas in sync',
      details: `The list shows what a majority of the voters of each mirror has recorded. IN
SYNC names the servers whose replicas have every write, and OTHER the servers
whose replicas lack writes. The list marks a server that does not answer as
(silent), and a server whose replica or record of the mirror cannot be used as
(unusable). A mirror is listed if a server with one of its replicas is
connected.`,
      example: 'mirror list',
      says: ({ mirrors, gaps }) => ({
        ...(mirrors.length === 0 ? {} : { block: mirrorTable(mirrors) }),
        notes: [
          ...mirrors.flatMap(mirrorTroubles),
          ...twins(mirrors),
          ...gaps,
          ...(mirrors.length + gaps.length === 0 ? ['No mirror for this client: rsconfig mirror create NAME makes one'] : []),
        ],
        ...(gaps.length === 0 ? {} : { code: 1 }),
      }),
    },
  }),
  'mirror-create': clientMethod({
    help: 'Makes a mirror: a volume on each server, its voters, and their first configuration. If a step fails, rsiod removes what it has made',
    effect: 'operates',
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
    command: { byHand: 'mirror create', because: 'it may attach the mirror, too' },
  }),
  'mirror-remove': clientMethod({
    help: 'Dissolves a mirror that no client has attached. Its replicas become plain volumes, or are removed',
    effect: 'operates',
    params: {
      namespace: namespaceOrNull,
      name: volumeName,
      universe,
      volumes: flagParam,
      force: flagParam,
      id: mirrorOrNull,
    },
    result: REMOVED_MIRROR,
    waitMs: SERVER_CALL_MS,
    command: {
      words: 'mirror remove',
      about: 'mirror',
      options: {
        volumes: { flag: 'volumes', help: 'remove the volumes, too' },
        force: { flag: 'force', help: 'remove the mirror even if a client may have it attached' },
        id: { param: 'id', value: 'ID', help: 'id of the mirror, if two have this name' },
      },
      summary: 'dissolves a mirror that no client has attached',
      details: `The replicas become plain volumes. Each volume keeps its name, but a replica
that lacks writes gets the name NAME-detached. The servers are no longer voters
of the mirror. The output says which volumes have every write. With --volumes,
the command also removes the volumes; rsconfig volume restore brings them back
for a day.

The command is refused if a client has the mirror attached, if a client has
exited without detaching it, or if most voters do not answer. With --force, the
command removes the mirror even then, and the client loses the mirror. After
rsconfig mirror force, two mirrors may have this name; --id chooses one of them.`,
      example: 'mirror remove db --volumes',
      says: (removed) => ({ block: removedText(removed), ...remains(removed.left) }),
    },
  }),
  'mirror-grow': clientMethod({
    help: 'Makes an attached mirror larger, also while it is used: first its replicas, then the mirror',
    effect: 'operates',
    params: { namespace: namespaceOrNull, name: volumeName, universe, sizeBytes },
    result: object({ namespace: text(), name: text(), universe: count(), fromBytes: count('Size before'), sizeBytes: count() }),
    waitMs: SERVER_CALL_MS,
    command: {
      words: 'mirror grow',
      about: 'mirror',
      operands: [{ param: 'sizeBytes', value: 'SIZE', type: volumeSize }],
      summary: 'makes an attached mirror larger, even while it is in use',
      details: `First, every server with a replica in sync makes its replica larger. Then the
mirror and its device on this machine get the new size. If a server refuses, for
example because its pool is full, the mirror keeps its size; repeat the command
when the pool has room. A replica whose server is away grows when that server
returns, before rsiod copies data to it.

The client needs the right manage in [rights] on the servers of the replicas.`,
      example: 'mirror grow db 30g',
      says: (grown) => `${volumeLabel(grown)} now has ${shownSize(grown.sizeBytes)}`,
    },
  }),
  'mirror-snapshot': clientMethod({
    help: 'Makes a snapshot of a mirror that is attached here: of its replicas in sync, at one moment, under one name and id',
    effect: 'operates',
    params: {
      namespace: namespaceOrNull,
      name: volumeName,
      universe,
      snapshot: { shape: filledText(), what: 'the name of a snapshot' },
      id: { shape: filledText(), what: 'a UUID, the same if the request is sent again', isOrderId: true } as Param<string>,
    },
    result: MIRROR_SNAPSHOT,
    waitMs: SERVER_CALL_MS,
    command: { partOf: 'volume snapshot' },
  }),
  'mirror-revoke': clientMethod({
    help: 'Takes a mirror away from a client, at all servers with a replica. If a server is missing, a majority of the voters proves it',
    effect: 'operates',
    params: { namespace: namespaceOrNull, name: volumeName, universe, client: clientName, id: onlyMirror, endClaim },
    result: MIRROR_ACCESS,
    waitMs: SERVER_CALL_MS,
    command: { partOf: 'volume revoke' },
  }),
  'mirror-allow': clientMethod({
    help: 'Lets a client attach a mirror, at all servers with a replica',
    effect: 'operates',
    params: { namespace: namespaceOrNull, name: volumeName, universe, client: clientName, id: onlyMirror },
    result: MIRROR_ACCESS,
    waitMs: SERVER_CALL_MS,
    command: { partOf: 'volume allow' },
  }),
  'mirror-force': clientMethod({
    help: 'Makes a new mirror of the replicas that are left of a mirror whose voters are gone. With seen = null, only says what would be lost',
    effect: 'administers',
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
    command: { byHand: 'mirror force', because: 'it asks for consent when it has asked what would be lost' },
  }),
  'mirror-add': clientMethod({
    help: 'Makes a replica of an attached mirror on one more server, which votes from then on. Its data is copied afterwards',
    effect: 'operates',
    params: { namespace: namespaceOrNull, name: volumeName, universe, server: serverName, pool: poolOrNull, request },
    result: CHANGED_MIRROR,
    waitMs: SERVER_CALL_MS,
    command: {
      words: 'mirror add',
      about: 'mirror',
      options: {
        server: { param: 'server', value: 'S', help: 'server of the new replica', needs: 'server of the new replica' },
        pool: { param: 'pool', value: 'P', type: poolNameType, help: 'pool of the new replica; default: the server chooses' },
      },
      summary: 'adds a replica to a mirror, or makes a volume a mirror',
      details: `The command makes a volume on server S a replica of the mirror, and server S
votes from then on. rsiod copies the data to the replica while applications
write; rsconfig mirror list shows the progress. A third replica takes the place
of the witness. If server S had a replica of the mirror before, all data is
copied again. If the mirror is replicated, server S gets the order, too. This
client must have the mirror attached.

If NAME is a plain volume that no client has attached, it becomes a mirror. The
volume keeps its data as the first replica. The replica on server S gets the
data when a client attaches the mirror. rsconfig mirror witness adds a third
voter.

If a step fails, the command removes what it has made on the server, and names
what it could not remove.`,
      example: 'mirror add db --server big-8',
      says: changedSaid,
    },
  }),
  'mirror-detach': clientMethod({
    help: 'Removes the replica of a server from an attached mirror. Its volume becomes a plain one, or is removed',
    effect: 'operates',
    params: { namespace: namespaceOrNull, name: volumeName, universe, server: serverName, volume: flagParam },
    result: CHANGED_MIRROR,
    waitMs: SERVER_CALL_MS,
    command: {
      words: 'mirror detach',
      about: 'mirror',
      options: {
        server: { param: 'server', value: 'S', help: 'server of the replica', needs: 'server of the replica' },
        volume: { flag: 'volume', help: 'remove the volume, too' },
      },
      summary: 'removes a replica from a mirror that this client has attached',
      details: `The replica on server S becomes a plain volume, keeps its data, and gets the
name NAME-detached, so that nobody mistakes it for the mirror. With --volume,
the command also removes this volume. The server stays a voter if the mirror has
three voters. The last replica that is in sync cannot be removed.

The command also removes remains of the mirror from a server that has no replica
any more, for example because the server was down when its replica was replaced.
If the server or rsiod stops during the command, repeat the command. The command
does not touch a volume that a client holds, or whose size differs from that of
the mirror.`,
      example: 'mirror detach db --server big-8 --volume',
      says: changedSaid,
    },
  }),
  'mirror-replace': clientMethod({
    help: 'Replaces the replica and the vote of a server, which may be away, by those of another one',
    effect: 'operates',
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
    command: {
      words: 'mirror replace',
      about: 'mirror',
      options: {
        server: { param: 'server', value: 'OLD', help: 'server that is replaced', needs: 'server that is replaced' },
        with: { param: 'with', value: 'NEW', help: 'server that takes the place of OLD', needs: 'server that takes its place' },
        pool: { param: 'pool', value: 'P', type: poolNameType, help: 'pool of the new replica; default: the server chooses' },
      },
      summary: 'replaces a server of a mirror that this client has attached',
      details: `Server NEW gets a replica and a vote in place of server OLD. Server OLD may be
lost for good, but most voters must answer. rsiod copies the data to the new
replica while applications write. NEW may be the same server as OLD if that
server has lost its disks. If the mirror is replicated, NEW gets the order, too.

If server OLD comes back later, its replica and its vote have no effect.
rsconfig mirror detach NAME --server OLD --volume removes them. If the replica
on OLD is still in sync, use rsconfig mirror add, and after the copy rsconfig
mirror detach, so that the number of replicas in sync never falls.`,
      example: 'mirror replace db --server big-8 --with big-7',
      says: changedSaid,
    },
  }),
  'mirror-witness': clientMethod({
    help: 'Changes the server that votes for an attached mirror and has no replica of it; null: there is none',
    effect: 'operates',
    params: {
      namespace: namespaceOrNull,
      name: volumeName,
      universe,
      witness: { shape: orNull(filledText()), what: 'the name of a server or null' },
    },
    result: CHANGED_MIRROR,
    waitMs: SERVER_CALL_MS,
    command: { byHand: 'mirror witness', because: 'it needs one of two options' },
  }),
  'mirror-verify': clientMethod({
    help: 'Begins to compare the replicas in sync of a mirror that is attached here, by checksums on their servers',
    effect: 'operates',
    params: { namespace: namespaceOrNull, name: volumeName, universe, repair: flagParam, from: serverOrNull },
    result: VERIFIED,
    waitMs: CONTROL_TIMEOUT_MS,
    command: { byHand: 'mirror verify', because: 'it waits for the end of the comparison' },
  }),
  'mirror-verification': clientMethod({
    help: 'Progress and findings of the last comparison of replicas',
    effect: 'reads',
    params: { namespace: namespaceOrNull, name: volumeName, universe },
    result: VERIFIED,
    waitMs: CONTROL_TIMEOUT_MS,
    command: { partOf: 'mirror verify' },
  }),
  'mirror-verify-stop': clientMethod({
    help: 'Ends a comparison of replicas',
    effect: 'operates',
    params: { namespace: namespaceOrNull, name: volumeName, universe },
    result: VERIFIED,
    waitMs: CONTROL_TIMEOUT_MS,
    command: { partOf: 'mirror verify' },
  }),
} as const;
