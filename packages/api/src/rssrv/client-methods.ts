// The methods of rssrv about clients. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a handler for each method
// (admin/client-handlers.ts).

import { SERVER_CHANGE_MS, SESSION_END_MS } from '@rsio/common/control/limits';
import { flagParam, type Param } from '@rsio/common/control/method-table';
import { count, filledText, flag, list, object, optional, orNull, text } from '@rsio/base/lib/shape';
import { volumeName, universe } from './params.ts';
import { serverMethod } from './server-method.ts';
import { CLIENT } from '../views/views.ts';

const client: Param<string> = { shape: filledText(), what: 'the name of a client' };
const volumeOrNull: Param<string | null> = {
  ...volumeName,
  shape: orNull(filledText()),
  what: `${volumeName.what}, or null`,
  default: null,
};

const ABOUT_CLIENT = { about: 'server', only: 'rsadm', completes: 'client list', operands: [{ param: 'name', value: 'NAME' }] } as const;

const KILLED = 'its server process was killed, so that its last writes may be lost if this machine crashes before they are on disk';

/** The result of a method that ends a session. */
const ENDED = object({
  name: text(),
  wasConnected: flag('It had a session, which has ended'),
  isClean: flag('false: the server process of the session was killed, so that the storage of its volumes may have lost writes'),
  volumes: list(text(), 'Volumes that it still holds'),
});

export const CLIENT_METHODS = {
  'client-list': serverMethod({
    help: 'The clients of the server, what they may do, and what they use',
    right: 'admin',
    reads: true,
    params: {},
    result: object({ clients: list(CLIENT) }),
    command: { byHand: 'client list', because: 'it also asks for the paths' },
  }),
  'client-kick': serverMethod({
    help: 'Ends the session of a client, which may come back',
    right: 'admin',
    repeats: 'harmless',
    params: { name: client },
    result: ENDED,
    waitMs: SESSION_END_MS,
    command: {
      words: 'client kick',
      ...ABOUT_CLIENT,
      summary: 'ends the session of a client, which then reconnects',
      details: `The I/O of the client pauses until it has a new session; nothing is lost. The
command returns when the old session has ended.`,
      example: 'client kick big-2',
      says: ({ wasConnected }, _, { name }) => (wasConnected ? `The session of ${name} has ended` : `${name} had no session`),
    },
  }),
  'client-fence': serverMethod({
    help: 'Keeps a client out until client-unfence; the answer comes when none of its requests can run any more',
    right: 'admin',
    repeats: 'harmless',
    params: { name: client },
    result: ENDED,
    waitMs: SESSION_END_MS,
    command: {
      words: 'client fence',
      ...ABOUT_CLIENT,
      summary: 'keeps a client out, and waits until its requests have ended',
      details: `After success, no write of the client reaches a volume of this server until
rsadm client unfence NAME, even if rssrv restarts. The client keeps its holds
until another client takes them over or rsadm client release ends them. If a
request of the client still runs after 30 s, the command fails, and that request
may still write. The fence remains; repeat the command to wait again. The
command does not affect the client on other servers.`,
      example: 'client fence big-2',
      says: ({ volumes, isClean }, _, { name }) => ({
        lines: [`${name} is fenced: nothing of it can run on this server`],
        notes: [
          ...(volumes.length === 0
            ? []
            : [`${name} still holds ${volumes.join(', ')}: take them over, or run rsadm client release ${name}`]),
          ...(isClean ? [] : [KILLED]),
        ],
      }),
    },
  }),
  'client-unfence': serverMethod({
    help: 'Lets a client in again',
    right: 'admin',
    repeats: 'harmless',
    params: { name: client },
    result: object({ name: text(), wasFenced: flag() }),
    waitMs: SESSION_END_MS,
    command: {
      words: 'client unfence',
      ...ABOUT_CLIENT,
      summary: 'lets a fenced client in again',
      example: 'client unfence big-2',
      says: ({ wasFenced }, _, { name }) => `${name} ${wasFenced ? 'may connect again' : 'was not fenced'}`,
    },
  }),
  'client-release': serverMethod({
    help: 'Ends the holds of a client that has no session, on all volumes or on one',
    right: 'admin',
    repeats: 'harmless',
    params: { name: client, volume: volumeOrNull, universe, force: flagParam },
    result: object({
      name: text(),
      released: list(text(), 'Volumes that it does not hold any more'),
      left: count('Holds that it still has'),
    }),
    waitMs: SERVER_CHANGE_MS,
    command: {
      words: 'client release',
      ...ABOUT_CLIENT,
      options: {
        volume: { value: 'V', help: 'only the hold on this volume', volume: ({ name, universe: of }) => ({ volume: name, universe: of }) },
        force: { flag: 'force', help: 'also give up writes that only the client still has' },
      },
      summary: 'ends the holds of a client that does not come back',
      details: `The client must have no session. rssrv syncs each volume first. If the client
comes back, its I/O on the volume fails, and writes that it had not sent are
lost. --force also ends holds on volumes whose storage may have lost
acknowledged writes, although only the client can send these writes again. For
--force, the client must be fenced.`,
      example: 'client release big-2 --volume oracle@1 --force',
      says: ({ released }, _, { name }) =>
        released.length === 0 ? { notes: [`${name} holds nothing`] } : { lines: released.map((one) => `${name} no longer holds ${one}`) },
    },
  }),
} as const;

/** The method may be executed twice without harm. */
export const CLIENT_NAME_METHODS = {
  'client-rename': serverMethod({
    help: 'Gives a client another name in the volumes and snapshots of the pools; it must have no session, hold, fence and job',
    right: 'admin',
    repeats: 'harmless',
    params: {
      name: client,
      to: client,
      file: { ...flagParam, what: 'true to rename it in rssrvcfg, too; false if the sender does that afterwards' },
      plan: { ...flagParam, what: 'true to change nothing, and only to say what prevents it' },
    },
    result: object({
      name: text(),
      to: text(),
      volumes: count('Volumes that named it'),
      snapshots: count('Snapshots that it had made'),
      held: optional(count('Volumes that it has attached under its old name meanwhile; missing: an earlier release')),
      pools: optional(list(text(), 'Pools whose volumes have the new name')),
      elsewhere: optional(list(text(), 'Shared pools that another server may own')),
      changes: optional(list(text(), 'What has changed, in words')),
    }),
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'client rename', because: 'it edits rssrvcfg, too' },
  }),
} as const;
