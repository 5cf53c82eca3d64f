// The methods of rssrv about clients. The rules for changing a table are in docs/CONTROL.md. Invariant: rssrv has a handler for each method
// (admin/client-handlers.ts).

import { CONTROL_ANSWER_MS, SERVER_CHANGE_MS, SESSION_END_MS } from '../limits.ts';
import { flagParam, method, type Param } from '../method-table.ts';
import { count, filledText, flag, list, object, orNull, text } from '../../lib/shape.ts';
import { volumeName, universe } from './params.ts';
import { CLIENT } from './views.ts';

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
  'client-list': method(
    'The clients of the server, what they may do, and what they use',
    {},
    object({ clients: list(CLIENT) }),
    CONTROL_ANSWER_MS,
    'admin',
  ),
  'client-kick': method('Ends the session of a client, which may come back', { name: client }, ENDED, SESSION_END_MS, 'admin'),
  'client-fence': method(
    'Keeps a client out until client-unfence; the answer comes when none of its requests can run any more',
    { name: client },
    ENDED,
    SESSION_END_MS,
    'admin',
  ),
  'client-unfence': method(
    'Lets a client in again',
    { name: client },
    object({ name: text(), wasFenced: flag() }),
    SESSION_END_MS,
    'admin',
  ),
  'client-release': method(
    'Ends the holds of a client that has no session, on all volumes or on one',
    { name: client, volume: volumeOrNull, universe, force: flagParam },
    object({ name: text(), released: list(text(), 'Volumes that it does not hold any more'), left: count('Holds that it still has') }),
    SERVER_CHANGE_MS,
    'admin',
  ),
} as const;

/** The method may be executed twice without harm. */
export const CLIENT_NAME_METHODS = {
  'client-rename': method(
    'Gives a client another name in the volumes and snapshots of the pools; it must have no session, hold, fence and job. rssrvcfg gets the name afterwards',
    { name: client, to: client },
    object({ name: text(), to: text(), volumes: count('Volumes that named it'), snapshots: count('Snapshots that it had made') }),
    SERVER_CHANGE_MS,
    'admin',
  ),
} as const;
