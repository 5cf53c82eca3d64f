// The orders about replications whose followers this machine's server has: a drill, a promotion, and the exchange of roles. Invariants: the
// question before a promotion says what would be lost; an order goes to the volumes of the replication with the id that the visitor has
// seen, as the server has it now.

import { SERVER_METHODS, type ServerMethods } from '@rsio/api/rssrv/server-methods';
import { RsError } from '@rsio/base/lib/errors';
import { parseName, printDuration, shownSize } from '@rsio/base/lib/units';
import { randomUUID } from 'node:crypto';
import { roleOf } from '../api/operations.ts';
import { hrefOf, workId } from '../model/ids.ts';
import type { Picture, Replication } from '../model/picture.ts';
import type { Fields, Giver, OrderKind, Work } from './order.ts';

type Method = 'volume-drill' | 'volume-promote' | 'volume-reverse';
type Volumes = ServerMethods[Method]['params']['volumes'];

/** Calls the server of this machine. */
export type ServerPort = <M extends Method | 'replication-list'>(
  method: M,
  params: ServerMethods[M]['params'],
  by: Giver,
) => Promise<ServerMethods[M]['result']>;

interface Exchange {
  readonly done: string;
  readonly consequence?: string;
  readonly run: (volumes: Volumes, by: Giver) => Promise<unknown>;
}

/** `check`: throws E_USAGE unless a server is on this machine. */
export function replicationOrders(
  ask: ServerPort,
  check: (server: string, what: string, picture: Picture) => void,
): Readonly<Record<Method, OrderKind>> {
  const of = (method: Method, verb: string | null, work: (replication: Replication, fields: Fields) => Exchange): OrderKind => ({
    needs: roleOf(SERVER_METHODS[method]),
    confirm: verb === null ? null : { verb, consequence: '' },
    prepare: (fields, picture): Work => {
      const replication = picture.replications.find(({ id }) => id === fields.get('replication'));
      if (replication === undefined) throw new RsError('E_USAGE', 'There is no such replication any more: load the page again');
      const { server, volumes, direction } = replication;
      const object = `replication of ${volumes}`;
      check(server, object, picture);
      if (direction === 'out') throw new RsError('E_USAGE', `The followers of ${volumes} are at ${replication.peer}: give the order there`);
      const { run, ...texts } = work(replication, fields);
      return {
        object,
        href: hrefOf('server', server),
        ...texts,
        run: async (by) => void (await run(await followersOf(replication, ask, by), by)),
      };
    },
  });
  const request = (): string => randomUUID();
  return {
    'volume-drill': of('volume-drill', null, ({ volumes }, fields) => {
      const suffix = parseName(fields.get('suffix'));
      return {
        done: `Clones of ${volumes} with names that end with ${suffix} are made`,
        run: (found, by) => ask('volume-drill', { volumes: found, suffix, request: request() }, by),
      };
    }),
    'volume-promote': of('volume-promote', 'Promote the', (replication) => ({
      done: `${replication.volumes}: the followers become ordinary volumes`,
      consequence: lossOf(replication),
      run: (found, by) => ask('volume-promote', { volumes: found, from: null, request: request() }, by),
    })),
    'volume-reverse': of('volume-reverse', 'Reverse the', ({ volumes, peer }) => ({
      done: `The roles of ${peer} and this server are exchanged for ${volumes}`,
      consequence: `Nothing is lost: the volumes at ${peer} are closed, and their last content is copied before the followers here are opened. Programs cannot write meanwhile.`,
      run: (found, by) => ask('volume-reverse', { volumes: found, client: null, reversible: null, cancel: false, request: request() }, by),
    })),
  };
}

/** Says what is lost if the followers become volumes with the content that they have. */
export function lossOf({ peer, ageMs, backlogBytes }: Replication): string {
  const lost =
    ageMs === null
      ? 'The followers have no moment yet, so that the server will refuse'
      : `Writes of at least the last ${printDuration(Math.ceil(ageMs / 1_000) * 1_000)} at ${peer} are lost here`;
  const known = backlogBytes > 0 ? `, of which ${shownSize(backlogBytes)} are known and not copied yet` : '';
  return `${lost}${known}. If ${peer} runs, reverse loses nothing. If its volumes are used further, both differ from now on.`;
}

/** Returns the volumes of a replication, as the server has them now. Throws E_USAGE if it has no such replication. */
async function followersOf(replication: Replication, ask: ServerPort, by: Giver): Promise<Volumes> {
  const { replications } = await ask('replication-list', {}, by);
  const found = replications.find(({ id, direction }) => direction === 'in' && workId('server', replication.server, id) === replication.id);
  if (found === undefined) throw new RsError('E_USAGE', 'The server has no such replication any more: load the page again');
  return found.volumes.map(({ name, universe }) => ({ name, universe }));
}
