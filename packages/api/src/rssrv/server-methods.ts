// Contains the table of rssrv's control interface: the requests that rssrv accepts on its control socket, how long each request may take,
// and the shapes of the results. rsadm sends these requests on the server. Each subject has a separate table in this folder. The table of
// rsiod is in methods.ts, and docs/CONTROL.md has the rules for changing the interface.

import { SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { type MethodsOf, SERVER_DAEMON } from '@rsio/common/control/method-table';
import { count, list, number, object, orNull, text } from '@rsio/base/lib/shape';
import { AUDIT_METHODS } from './audit-methods.ts';
import { CLIENT_METHODS, CLIENT_NAME_METHODS } from './client-methods.ts';
import { FARM_METHODS } from './farm-methods.ts';
import { JOB_METHODS } from './job-methods.ts';
import { SERVER_MESSAGE_METHODS } from './message-methods.ts';
import { NAMESPACE_METHODS } from './namespace-methods.ts';
import { OBSERVING_METHODS } from './observing-methods.ts';
import { PEER_METHODS } from './peer-methods.ts';
import { POOL_METHODS } from './pool-methods.ts';
import { COPYING_METHODS, FOLLOWER_METHODS, SOURCE_METHODS } from './replication-methods.ts';
import { IMAGE_METHODS, SNAPSHOT_METHODS } from './snapshot-methods.ts';
import { ACCESS_METHODS, HALT_METHODS, VOLUME_METHODS } from './volume-methods.ts';
import { serverMethod } from './server-method.ts';
import { WITNESS_METHODS } from './witness-methods.ts';

/** True in the context of an error of `server-call`: the server does not answer, and its last word was that it has no volume of that name. */
export const HAD_NONE = 'hadNone';

export const SERVER_METHODS = {
  daemon: serverMethod({
    help: 'The daemon that answers, its version and its methods',
    right: 'use',
    reads: true,
    shows: { methods: 'method' },
    params: {},
    result: SERVER_DAEMON,
    command: { partOf: 'status' },
  }),
  ...POOL_METHODS,
  ...FARM_METHODS,
  ...PEER_METHODS,
  ...VOLUME_METHODS,
  ...ACCESS_METHODS,
  ...SNAPSHOT_METHODS,
  ...IMAGE_METHODS,
  ...SOURCE_METHODS,
  ...COPYING_METHODS,
  ...FOLLOWER_METHODS,
  ...HALT_METHODS,
  ...JOB_METHODS,
  ...CLIENT_METHODS,
  ...CLIENT_NAME_METHODS,
  ...NAMESPACE_METHODS,
  ...OBSERVING_METHODS,
  ...AUDIT_METHODS,
  ...WITNESS_METHODS,
  ...SERVER_MESSAGE_METHODS,
  'change-show': serverMethod({
    help: 'The change that the server makes now; later changes wait for it',
    right: null,
    reads: true,
    params: {},
    result: object({
      change: orNull(
        object({ what: text('What is changed, and who asked for it'), sinceMs: number(), waiting: count('Changes that wait for it') }),
        'null: the server makes no change',
      ),
    }),
    command: { partOf: 'status' },
  }),
  reload: serverMethod({
    help: 'Reads the configuration file again; an error says why nothing was changed',
    right: 'admin',
    repeats: 'harmless',
    params: {},
    result: object({ applied: list(text(), 'A sentence for each change') }),
    waitMs: SERVER_CHANGE_MS,
    command: {
      words: 'reload',
      about: 'server',
      only: 'rsadm',
      summary: 'makes rssrv read its configuration file again',
      example: 'reload',
      says: ({ applied }, { configFile }) =>
        applied.length === 0 ? { notes: [`rssrv already uses this ${configFile}: nothing in it has changed`] } : { lines: applied },
    },
  }),
} as const;

export type ServerMethods = MethodsOf<typeof SERVER_METHODS>;
export type ServerMethodName = keyof ServerMethods;
