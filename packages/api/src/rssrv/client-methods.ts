// The methods of rssrv about clients. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a handler for each method
// (admin/client-handlers.ts).

import { SERVER_CHANGE_MS, SESSION_END_MS } from '@rsio/common/control/limits';
import { flagParam, type Param } from '@rsio/common/control/method-table';
import { count, filledText, flag, list, object, orNull, text } from '@rsio/base/lib/shape';
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
  }),
  'client-kick': serverMethod({
    help: 'Ends the session of a client, which may come back',
    right: 'admin',
    repeats: 'harmless',
    params: { name: client },
    result: ENDED,
    waitMs: SESSION_END_MS,
  }),
  'client-fence': serverMethod({
    help: 'Keeps a client out until client-unfence; the answer comes when none of its requests can run any more',
    right: 'admin',
    repeats: 'harmless',
    params: { name: client },
    result: ENDED,
    waitMs: SESSION_END_MS,
  }),
  'client-unfence': serverMethod({
    help: 'Lets a client in again',
    right: 'admin',
    repeats: 'harmless',
    params: { name: client },
    result: object({ name: text(), wasFenced: flag() }),
    waitMs: SESSION_END_MS,
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
  }),
} as const;

/** The method may be executed twice without harm. */
export const CLIENT_NAME_METHODS = {
  'client-rename': serverMethod({
    help: 'Gives a client another name in the volumes and snapshots of the pools; it must have no session, hold, fence and job. rssrvcfg gets the name afterwards',
    right: 'admin',
    repeats: 'harmless',
    params: { name: client, to: client },
    result: object({ name: text(), to: text(), volumes: count('Volumes that named it'), snapshots: count('Snapshots that it had made') }),
    waitMs: SERVER_CHANGE_MS,
  }),
} as const;
