// The forms whose orders change rssrvcfg: interfaces, pools, clients and their rights. dialogs.ts has those of volumes. Pure.
// Invariant: a form fills in what is in force now, so that an unchanged form changes nothing.

import type { KeyEntry } from '@rsio/common/config/schema/entries';
import { SCHEMA } from '@rsio/common/config/schema/schema';
import { choice, name, size, type ValueType } from '@rsio/common/config/schema/value-types';
import { CLIENT_ROLES } from '@rsio/common/config/schema/types';
import { SECTOR_BYTES, VOLUME_MAX_BYTES } from '@rsio/common/lib/limits';
import { printSize, refuse } from '@rsio/common/lib/units';
import { type FieldSpec, type Form, formOf, formText, type Offer } from '../../model/form.ts';
import { machineDetails } from '../../model/forms.ts';
import type { Dialog, FileOrder } from './command.ts';
import { configIn, type ServerState } from './state.ts';

const schema = SCHEMA.rssrvcfg;
export type FileDialog = Exclude<Dialog, { readonly kind: 'create-volume' | 'grow' | 'rename' | 'take-over' }>;

export function entry(type: ValueType<unknown>, help: string, isRequired = false, byDefault: string | null = null): KeyEntry<unknown> {
  return { type, isRequired, default: byDefault, help };
}

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

export function fileForm(state: ServerState, dialog: FileDialog): Form {
  switch (dialog.kind) {
    case 'add-interface': {
      const { address, port } = schema.interface.keys;
      return formOf('Add interface', [
        { key: 'name', entry: entry(name, 'Name of the new interface', true), text: freeName(state) },
        { key: 'address', entry: address, offers: addressOffers(state) },
        { key: 'port', entry: port },
      ]);
    }
    case 'add-pool': {
      const { path, limit, reserve } = schema.pool.keys;
      const pathHelp = 'Existing, empty directory, best on a file system of its own; or one that already is a pool, with all its volumes';
      return formOf('Add pool', [
        { key: 'name', entry: entry(name, 'Name of the new pool', true) },
        { key: 'path', entry: { ...path, help: pathHelp } },
        { key: 'limit', entry: limit },
        { key: 'reserve', entry: reserve },
      ]);
    }
    case 'pool-settings': {
      const { limit, reserve } = schema.pool.keys;
      const pool = configIn(state)?.pools.find((each) => each.name === dialog.name);
      const bytes = pool?.limitBytes ?? null;
      return formOf(`Pool ${dialog.name}`, [
        { key: 'limit', entry: limit, text: bytes === null ? '' : printSize(bytes) },
        { key: 'reserve', entry: reserve, text: pool === undefined ? '' : `${Math.round(pool.reserve * 100)}%` },
      ]);
    }
    case 'add-client':
      return formOf('Add client', [
        { key: 'name', entry: entry(name, 'Name of the new client, its nodename', true) },
        ...rightsFields(state, null),
      ]);
    case 'rights':
      return formOf(`Rights of client ${dialog.name}`, rightsFields(state, dialog.name));
  }
}

function rightsFields(state: ServerState, client: string | null): FieldSpec[] {
  const own = state.view?.clients.find((each) => each.name === client);
  const pools = (state.view?.pools ?? []).map(({ name: text }) => ({ text, detail: '' }));
  const rightHelp = 'use: attach volumes; manage: also create and change volumes; admin: everything that rsadm can do';
  const limitType = size(SECTOR_BYTES, VOLUME_MAX_BYTES);
  return [
    { key: 'right', entry: entry(choice(...CLIENT_ROLES), rightHelp, false, 'use'), text: own?.role ?? '' },
    {
      key: 'pools',
      entry: entry(poolNames, 'With manage: the pools that it may use', false, 'all'),
      text: own?.pools?.join(',') ?? '',
      offers: pools,
    },
    {
      key: 'limit',
      entry: entry(limitType, 'With manage: most that the sizes of its volumes may add up to', false, 'none'),
      text: own?.limitBytes === null || own === undefined ? '' : printSize(own.limitBytes),
    },
  ];
}

/** Addresses of this machine on which the server does not listen yet. */
function addressOffers(state: ServerState): readonly Offer[] {
  const taken = new Set(configIn(state)?.interfaces.map((each) => each.address));
  return state.machine
    .filter((each) => !taken.has(each.address) && !each.isLoopback)
    .map((each) => ({ text: each.address, detail: machineDetails(each) }));
}

function freeName(state: ServerState): string {
  const taken = new Set(configIn(state)?.interfaces.map((each) => each.name));
  let number = 0;
  while (taken.has(`if${number}`)) number += 1;
  return `if${number}`;
}

/** The order that a checked form leads to. */
export function fileOrderOf(dialog: FileDialog, form: Form): FileOrder {
  const text = (key: string): string => formText(form, key);
  const orNull = (key: string): string | null => (text(key) === '' ? null : text(key));
  switch (dialog.kind) {
    case 'add-interface':
      return { kind: 'add-interface', name: text('name'), address: text('address'), port: text('port') };
    case 'add-pool':
      return { kind: 'add-pool', pool: { name: text('name'), path: text('path'), limit: orNull('limit'), reserve: orNull('reserve') } };
    case 'pool-settings': {
      const changes = ['limit', 'reserve'].map((key) => [key, orNull(key)] as const);
      return { kind: 'set-pool', name: dialog.name, changes };
    }
    case 'add-client':
      return { kind: 'add-client', name: text('name'), rights: text('right') === '' ? '' : rightsOf(form) };
    case 'rights':
      return { kind: 'set-rights', name: dialog.name, rights: rightsOf(form) };
  }
}

/** As in [rights] of rssrvcfg, without the name of the client. */
function rightsOf(form: Form): string {
  const right = formText(form, 'right') || 'use';
  const settings = [
    ['pool', formText(form, 'pools')],
    ['limit', formText(form, 'limit')],
  ].flatMap(([key, value]) => (value === '' ? [] : [`${key}=${value}`]));
  return [right, ...(right === 'manage' ? settings : [])].join(' ');
}
