// The forms that edit rssrvcfg: forms of interfaces, pools, clients and the rights of clients. The forms of volumes are in volume-forms.ts.
// Invariant: when a form is opened, its fields have the values in force, so that applying an unchanged form changes nothing.

import { SCHEMA } from '@rsio/common/config/schema/schema';
import { choice, name, size, type ValueType } from '@rsio/common/config/schema/value-types';
import { CLIENT_ROLES } from '@rsio/common/config/schema/types';
import { SECTOR_BYTES, VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import { printSize, refuse } from '@rsio/base/lib/units';
import { entryOf, type FieldSpec, type Form, formOf, formText } from '../../machine/form.ts';
import { addressOffers, freeName } from '../../machine/address-offers.ts';
import { configIn, type ServerCommand, type ServerState } from '../model/state.ts';
import { clientAddition, interfaceAddition, poolAddition, poolChange, rightsChange } from '../work/file-orders.ts';
import { orderForm } from '../work/ordering.ts';

const schema = SCHEMA.rssrvcfg;

export const poolNames: ValueType<readonly string[]> = {
  kind: 'names',
  allowed: 'names of pools, separated by commas',
  isSecret: false,
  parse: (text) => text.split(',').map((each) => orRefuse(() => name.parse(each), text)),
};

function orRefuse<T>(parse: () => T, text: string): T {
  try {
    return parse();
  } catch {
    return refuse('list of pools', text, poolNames.allowed);
  }
}

export const ADD_INTERFACE = orderForm(
  (state) =>
    formOf('Add interface', [
      { key: 'name', entry: entryOf(name, 'Name of the new interface', true), text: freeName(configIn(state)?.interfaces ?? []) },
      { key: 'address', entry: schema.interface.keys.address, offers: addressOffers(state, configIn(state)?.interfaces ?? []) },
      { key: 'port', entry: schema.interface.keys.port },
    ]),
  (form) => interfaceAddition(formText(form, 'name'), formText(form, 'address'), formText(form, 'port')),
);

const PATH_HELP = 'Existing, empty directory, best on a file system of its own; or one that already is a pool, with all its volumes';
const { path, limit, overcommit, reserve } = schema.pool.keys;

export const ADD_POOL = orderForm(
  () =>
    formOf('Add pool', [
      { key: 'name', entry: entryOf(name, 'Name of the new pool', true) },
      { key: 'path', entry: { ...path, help: PATH_HELP } },
      { key: 'limit', entry: limit },
      { key: 'overcommit', entry: overcommit },
      { key: 'reserve', entry: reserve },
    ]),
  (form) =>
    poolAddition({
      name: formText(form, 'name'),
      path: formText(form, 'path'),
      limit: orNull(form, 'limit'),
      overcommit: orNull(form, 'overcommit'),
      reserve: orNull(form, 'reserve'),
    }),
);

export function changePool(pool: string): ServerCommand {
  return orderForm(
    (state) => {
      const now = configIn(state)?.pools.find((each) => each.name === pool);
      const bytes = now?.limitBytes ?? null;
      return formOf(`Pool ${pool}`, [
        { key: 'limit', entry: limit, text: bytes === null ? '' : printSize(bytes) },
        { key: 'overcommit', entry: overcommit, text: now?.overcommit ?? '' },
        { key: 'reserve', entry: reserve, text: now === undefined ? '' : `${Math.round(now.reserve * 100)}%` },
      ]);
    },
    (form) =>
      poolChange(
        pool,
        ['limit', 'overcommit', 'reserve'].map((key) => [key, orNull(form, key)] as const),
      ),
  );
}

export const ADD_CLIENT = orderForm(
  (state) =>
    formOf('Add client', [
      { key: 'name', entry: entryOf(name, 'Name of the new client, its nodename', true) },
      ...rightsFields(state, null),
    ]),
  (form) => clientAddition(formText(form, 'name'), formText(form, 'right') === '' ? '' : rightsOf(form)),
);

export function changeRights(client: string): ServerCommand {
  return orderForm(
    (state) => formOf(`Rights of client ${client}`, rightsFields(state, client)),
    (form) => rightsChange(client, rightsOf(form)),
  );
}

function orNull(form: Form, key: string): string | null {
  return formText(form, key) || null;
}

function rightsFields(state: ServerState, client: string | null): FieldSpec[] {
  const own = state.view?.clients.find((each) => each.name === client);
  const pools = (state.view?.pools ?? []).map(({ name: text }) => ({ text, detail: '' }));
  const rightHelp =
    'copy: replicate volumes; use: attach volumes; view: see everything, change nothing; manage: also create and change volumes; admin: everything that rsadm can do';
  const limitType = size(SECTOR_BYTES, VOLUME_MAX_BYTES);
  return [
    { key: 'right', entry: entryOf(choice(...CLIENT_ROLES), rightHelp, false, 'use'), text: own?.role ?? '' },
    {
      key: 'pools',
      entry: entryOf(poolNames, 'With manage: the pools that it may use', false, 'all'),
      text: own?.pools?.join(',') ?? '',
      offers: pools,
    },
    {
      key: 'limit',
      entry: entryOf(limitType, 'With manage: most that the sizes of its volumes may add up to', false, 'none'),
      text: own?.limitBytes === null || own === undefined ? '' : printSize(own.limitBytes),
    },
  ];
}

/** Returns a line for the section [rights] in rssrvcfg, without the name of the client. */
function rightsOf(form: Form): string {
  const right = formText(form, 'right') || 'use';
  const settings = [
    ['pool', formText(form, 'pools')],
    ['limit', formText(form, 'limit')],
  ].flatMap(([key, value]) => (value === '' ? [] : [`${key}=${value}`]));
  return [right, ...(right === 'manage' ? settings : [])].join(' ');
}
