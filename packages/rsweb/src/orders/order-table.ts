// The table of all orders: the fields of each order, its object, and the request to a daemon. Orders exist only for objects of this
// machine, because other machines have their own rsweb, tokens and logs. Invariants: an order has the same effect and the same limits as
// the corresponding command of rsadm or rsconfig; an order is executed only on the volume with the id that the visitor has seen.

import { randomUUID } from 'node:crypto';
import { PAUSE_MS } from '@rsio/common/control/limits';
import { CONTROL_METHODS, type ControlMethodName, type ControlMethods } from '@rsio/api/rsiod/methods';
import { SERVER_METHODS, type ServerMethodName, type ServerMethods } from '@rsio/api/rssrv/server-methods';
import { RsError } from '@rsio/base/lib/errors';
import { parseDuration, parseName, parseSize } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { roleOf } from '../api/operations.ts';
import { hrefOf, serverId, volumeId } from '../model/ids.ts';
import type { Client, Picture, Server, Volume } from '../model/picture.ts';
import { type AppPort, appOrders } from './app-orders.ts';
import type { Fields, Giver, OrderKind, Work } from './order.ts';
import { replicationOrders } from './replication-orders.ts';

/** Functions that call the daemons of this machine. `by`: the visitor's token, which the daemons log. */
export interface OrderPorts {
  readonly server: <M extends ServerMethodName>(
    method: M,
    params: ServerMethods[M]['params'],
    by: Giver,
  ) => Promise<ServerMethods[M]['result']>;
  readonly client: <M extends ControlMethodName>(
    method: M,
    params: ControlMethods[M]['params'],
    by: Giver,
  ) => Promise<ControlMethods[M]['result']>;
  readonly app: AppPort;
}

const SETTINGS = ['clients', 'readonly', 'shared', 'snapshots', 'iops', 'bandwidth', 'burst'] as const;

export function orderTable(ports: OrderPorts): Readonly<Record<string, OrderKind>> {
  const ask: Ask = (method, params) => async (by) => void (await ports.server(method, params, by));
  const ofVolume: OfVolume = (method, work, confirm = null) => ({
    needs: roleOf(SERVER_METHODS[method]),
    confirm,
    prepare: (fields, picture) => {
      const volume = servedVolume(fields, picture);
      const prepared = work(volume, fields);
      const run = async (by: Giver): Promise<void> => {
        await checkServed(volume, by, ports);
        await prepared.run(by);
      };
      return { ...prepared, run };
    },
  });
  const request = (): string => randomUUID();
  return {
    'volume-create': {
      needs: roleOf(SERVER_METHODS['volume-create']),
      confirm: null,
      prepare: (fields, picture) => creation(fields, picture, ask),
    },
    'volume-grow': ofVolume('volume-grow', (volume, fields) => {
      const sizeBytes = parseSize(fields.get('size'));
      return {
        ...on(volume, 'is grown'),
        run: ask('volume-grow', { ...named(volume), sizeBytes, pool: null, mirror: null, request: request() }),
      };
    }),
    'volume-rename': ofVolume('volume-rename', (volume, fields) => {
      const newName = parseName(fields.get('newName'));
      return {
        ...on(volume, `is called ${newName}`),
        run: ask('volume-rename', { ...named(volume), newName, newUniverse: volume.universe, request: request() }),
      };
    }),
    'volume-snapshot': ofVolume('volume-snapshot', (volume, fields) => {
      const snapshots = [{ ...named(volume), snapshot: fields.get('snapshot') }];
      return { ...on(volume, `has snapshot ${fields.get('snapshot')}`), run: ask('volume-snapshot', { snapshots, request: request() }) };
    }),
    'volume-set': ofVolume('volume-set', (volume, fields) => {
      const settings = SETTINGS.flatMap((key) => (fields.get(key) === '' ? [] : `${key}=${fields.get(key)}`));
      if (settings.length === 0) throw new RsError('E_USAGE', 'No setting is given: fill in at least one field');
      return {
        ...on(volume, `is changed (${settings.join(' ')})`),
        run: ask('volume-set', { ...named(volume), settings, request: request() }),
      };
    }),
    ...haltOrders(ofVolume, ask),
    'volume-remove': ofVolume(
      'volume-remove',
      (volume) => ({ ...on(volume, 'is removed'), href: '/', run: ask('volume-remove', { ...named(volume), request: request() }) }),
      { verb: 'Remove', consequence: 'Clients cannot use it any more. It can be restored for some time with rsadm volume restore.' },
    ),
    'client-kick': {
      needs: roleOf(SERVER_METHODS['client-kick']),
      confirm: { verb: 'End the session of', consequence: 'Its I/O waits until it has connected again, which it does by itself.' },
      prepare: (fields, picture) => {
        const client = found<Client>('client', picture.clients, fields.get('client'));
        return {
          object: `client ${client.name}`,
          done: `The session of client ${client.name} has ended`,
          href: hrefOf('client', client.id),
          run: ask('client-kick', { name: client.name }),
        };
      },
    },
    ...jobOrders(ask),
    ...replicationOrders(ports.server, (server, what, picture) => {
      checkLocal(picture.servers.find(({ id }) => id === server)?.machine ?? null, what, picture);
    }),
    ...appOrders(ports.app),
    attach: {
      needs: roleOf(CONTROL_METHODS.attach),
      confirm: null,
      prepare: (fields, picture) => attachment(fields, picture, 'attach', ports),
    },
    detach: {
      needs: roleOf(CONTROL_METHODS.detach),
      confirm: { verb: 'Detach', consequence: 'Its device disappears. rsiod refuses while a program uses it.' },
      prepare: (fields, picture) => attachment(fields, picture, 'detach', ports),
    },
  };
}

type Ask = <M extends ServerMethodName>(method: M, params: ServerMethods[M]['params']) => (by: Giver) => Promise<void>;

type OfVolume = (method: ServerMethodName, work: (volume: Volume, fields: Fields) => Work, confirm?: OrderKind['confirm']) => OrderKind;

/** Returns the orders that pause, stop, resume and start a volume. */
function haltOrders(ofVolume: OfVolume, ask: Ask): Readonly<Record<string, OrderKind>> {
  return {
    'volume-pause': ofVolume('volume-pause', (volume, fields) => {
      const forMs = fields.get('for') === '' ? PAUSE_MS : parseDuration(fields.get('for'));
      return { ...on(volume, 'is paused'), run: ask('volume-pause', { ...named(volume), forMs }) };
    }),
    'volume-resume': ofVolume('volume-resume', (volume) => ({ ...on(volume, 'goes on'), run: ask('volume-resume', named(volume)) })),
    'volume-stop': ofVolume('volume-stop', (volume) => ({ ...on(volume, 'is stopped'), run: ask('volume-stop', named(volume)) }), {
      verb: 'Stop',
      consequence: 'Its I/O is refused until the volume is started again, also after a restart of the server.',
    }),
    'volume-start': ofVolume('volume-start', (volume) => ({ ...on(volume, 'is started'), run: ask('volume-start', named(volume)) })),
  };
}

/** Returns the orders about the jobs of this machine's server. */
function jobOrders(ask: Ask): Readonly<Record<string, OrderKind>> {
  const ofJob = (
    method: 'job-cancel' | 'job-limit',
    confirm: OrderKind['confirm'],
    work: (id: string, fields: Fields) => Pick<Work, 'run'> & { readonly done: string },
  ): OrderKind => ({
    needs: roleOf(SERVER_METHODS[method]),
    confirm,
    prepare: (fields, picture) => {
      const { job, server, kind, name } = found('job', picture.works, fields.get('work'));
      const machine = picture.servers.find(({ id }) => id === server)?.machine ?? null;
      if (job === null || server === null) throw new RsError('E_USAGE', `The ${kind} of ${name} is no job of a server`);
      checkLocal(machine, `job ${job}`, picture);
      return { object: `job ${job}`, href: hrefOf('server', server), ...work(job, fields) };
    },
  });
  return {
    'job-cancel': ofJob(
      'job-cancel',
      { verb: 'Cancel', consequence: 'What it has done is undone: a volume stays where it was, and a copy is not made.' },
      (id) => ({ done: `Job ${id} is being cancelled`, run: ask('job-cancel', { id, request: randomUUID() }) }),
    ),
    'job-limit': ofJob('job-limit', null, (id, fields) => {
      const limit = fields.get('limit');
      const limitBytes = limit === 'none' ? null : parseSize(limit);
      const done = `Job ${id} copies ${limitBytes === null ? 'without limit' : `at most ${limit} in a second`}`;
      return { done, run: ask('job-limit', { id, limitBytes, request: randomUUID() }) };
    }),
  };
}

function creation(fields: Fields, picture: Picture, ask: Ask): Work {
  const server = found<Server>('server', picture.servers, fields.get('server'));
  checkLocal(server.machine, `server ${server.name}`, picture);
  const name = parseName(fields.get('name'));
  const universe = Number(fields.get('universe') || '0');
  const pool = picture.pools.find(({ id }) => id === fields.get('pool'))?.name ?? (fields.get('pool') || null);
  const order = ask('volume-create', {
    name,
    universe,
    sizeBytes: parseSize(fields.get('size')),
    blockSizeBytes: 512,
    pool,
    thick: fields.get('thick') === 'yes',
    readonly: false,
    shared: false,
    clients: null,
    takeOver: null,
    takeOverForce: false,
    request: randomUUID(),
  });
  return {
    object: `volume ${name}@${universe}`,
    done: `Volume ${name}@${universe} is created`,
    href: hrefOf('server', server.id),
    run: order,
  };
}

/**
 * Checks that the volume with this name still has the id from the page. Orders use names, and another volume may have got the name since
 * the page was made.
 */
async function checkServed(volume: Volume, by: Giver, { server }: OrderPorts): Promise<void> {
  const { volume: now } = await server('volume-show', named(volume), by);
  if (volumeId(now.id, volume.server, volume.name, volume.universe) !== volume.id) throw anotherNow(volume);
}

function anotherNow({ name, universe }: Volume): RsError {
  return new RsError('E_USAGE', `Volume ${name}@${universe} is another one now: load the page again`);
}

function attachment(fields: Fields, picture: Picture, method: 'attach' | 'detach', ports: OrderPorts): Work {
  const volume = found<Volume>('volume', picture.volumes, fields.get('volume'));
  const local = picture.machines.find(({ isLocal }) => isLocal)?.id;
  if (!picture.clients.some(({ machine }) => machine !== null && machine === local)) {
    throw new RsError('E_NOT_RUNNING', 'No rsiod runs on this machine: start it, or order this at the rsweb of the client');
  }
  const run = async (by: Giver): Promise<void> => {
    const label = method === 'attach' ? await offeredLabel(volume, by, ports) : await attachedLabel(volume, by, ports);
    if (label === null) throw anotherNow(volume);
    const names = [label];
    const { outcomes } =
      method === 'attach'
        ? await ports.client('attach', { names, readOnly: false, server: null, take: 'no' }, by)
        : await ports.client('detach', { names, force: false }, by);
    const failed = outcomes.find(({ error }) => error !== null)?.error;
    if (failed !== undefined && failed !== null) throw new RsError('E_VOLUME', failed.message);
  };
  return { ...on(volume, `is ${method}ed on this machine`), run };
}

/** Returns rsiod's label for the volume with this id and name; null if no server offers it. */
async function offeredLabel({ id, name, universe }: Volume, by: Giver, { client }: OrderPorts): Promise<string | null> {
  const { namespaces } = await client('query', { refresh: false }, by);
  for (const { name: namespace, servers } of namespaces) {
    const isOffered = servers.some(({ name: server, volumes }) =>
      volumes.some((one) => one.name === name && one.universe === universe && volumeId(one.id, serverId(server), name, universe) === id),
    );
    if (isOffered) return volumeLabel({ namespace, name, universe });
  }
  return null;
}

/** Like `offeredLabel`, but for an attached volume; null if this client has not attached the volume. */
async function attachedLabel({ id, name, universe }: Volume, by: Giver, { client }: OrderPorts): Promise<string | null> {
  const { attachments } = await client('local', {}, by);
  const attached = attachments.find((one) => one.id === id && one.name === name && one.universe === universe);
  return attached === undefined ? null : volumeLabel(attached);
}

/** Returns the element with the given id. Throws E_USAGE if the picture no longer contains the element. */
function found<T extends { readonly id: string }>(what: string, all: readonly T[], id: string): T {
  const one = all.find((each) => each.id === id);
  if (one === undefined) throw new RsError('E_USAGE', `There is no such ${what} any more: load the page again`);
  return one;
}

function servedVolume(fields: Fields, picture: Picture): Volume {
  const volume = found<Volume>('volume', picture.volumes, fields.get('volume'));
  const server = picture.servers.find(({ id }) => id === volume.server);
  checkLocal(server?.machine ?? null, `volume ${volume.name}@${volume.universe}`, picture);
  return volume;
}

function checkLocal(machine: string | null, what: string, picture: Picture): void {
  const local = picture.machines.find(({ isLocal }) => isLocal)?.id;
  if (machine !== null && machine === local) return;
  throw new RsError(
    'E_USAGE',
    `${what.charAt(0).toUpperCase()}${what.slice(1)} is not on this machine: give the order at the rsweb of its server`,
  );
}

function named({ name, universe }: Volume): { readonly name: string; readonly universe: number } {
  return { name, universe };
}

function on({ name, universe, id }: Volume, is: string): Pick<Work, 'object' | 'done' | 'href'> {
  return { object: `volume ${name}@${universe}`, done: `Volume ${name}@${universe} ${is}`, href: hrefOf('volume', id) };
}
