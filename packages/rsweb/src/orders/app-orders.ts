// The orders about applications of this machine's node, which rsapp executes. order-table.ts has all orders.
// Invariant: an order whose effect programs notice needs a confirmation.

import { APP_METHODS, type AppMethods, type AppOrder } from '@rsio/api/rsapp/app-methods';
import { RsError } from '@rsio/base/lib/errors';
import { roleOf } from '../api/operations.ts';
import { hrefOf } from '../model/ids.ts';
import type { Application, Client, Picture } from '../model/picture.ts';
import type { Fields, Giver, OrderKind, Work } from './order.ts';

/** Calls the rsapp of this machine. `by`: the visitor's token. */
export type AppPort = <M extends keyof AppMethods>(
  method: M,
  params: AppMethods[M]['params'],
  by: Giver,
) => Promise<AppMethods[M]['result']>;

const DONE: Readonly<Record<AppOrder, string>> = {
  start: 'is started on this machine',
  stop: 'is stopped',
  move: 'is moved',
  enable: 'is enabled',
  disable: 'is disabled',
};

export function appOrders(app: AppPort): Readonly<Record<string, OrderKind>> {
  const order = (name: AppOrder, confirm: OrderKind['confirm'] = null): OrderKind => ({
    needs: roleOf(APP_METHODS['app-order']),
    confirm,
    prepare: (fields, picture) => {
      const application = applicationIn(fields, picture);
      const to = name === 'move' ? fields.get('to') || null : null;
      return {
        object: `application ${application.name}${to === null ? '' : ` to ${to}`}`,
        done: `Application ${application.name} ${DONE[name]}`,
        href: hrefOf('client', application.reporter),
        run: async (by) => void (await app('app-order', { name: application.name, order: name, to }, by)),
      };
    },
  });
  const needs = roleOf(APP_METHODS.drain);
  return {
    'app-start': order('start'),
    'app-stop': order('stop', { verb: 'Stop', consequence: 'It ends, and runs nowhere until it is started again, also after reboots.' }),
    'app-move': order('move', { verb: 'Move', consequence: 'Programs cannot use it while it ends here and starts on another node.' }),
    'app-enable': order('enable'),
    'app-disable': order('disable', { verb: 'Disable', consequence: 'It ends, and no node starts it until it is enabled.' }),
    'node-drain': {
      needs,
      confirm: { verb: 'Drain', consequence: 'All its applications move to other nodes. One that no other node can take ends.' },
      prepare: (fields, picture) => drain(app, fields, picture, false),
    },
    'node-drain-end': { needs, confirm: null, prepare: (fields, picture) => drain(app, fields, picture, true) },
  };
}

/** `picture`: the picture of this machine's daemons, so that all its applications take orders here. */
function applicationIn(fields: Fields, { applications }: Picture): Application {
  const application = applications.find(({ id }) => id === fields.get('application'));
  if (application !== undefined) return application;
  throw new RsError('E_USAGE', 'There is no such application on this machine: load the page again, or give the order at its rsweb');
}

function drain(app: AppPort, fields: Fields, { clients, applications }: Picture, end: boolean): Work {
  const node: Client | undefined = clients.find(({ id }) => id === fields.get('client'));
  if (node === undefined || !applications.some(({ reporter }) => reporter === node.id))
    throw new RsError('E_USAGE', 'No rsapp of this node runs on this machine: give the order at the rsweb of the node');
  return {
    object: `node ${node.name}`,
    done: end ? `The drain of node ${node.name} has ended` : `Node ${node.name} is drained`,
    href: hrefOf('client', node.id),
    run: async (by) => void (await app('drain', { end }, by)),
  };
}
