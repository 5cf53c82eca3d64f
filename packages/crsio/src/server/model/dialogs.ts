// The forms of the server's part, and the order that a completed form leads to. The schema and rssrv's answers supply help and offers. Pure.
// Invariant: a form becomes an order only if each field is valid by itself; rssrv decides everything else.

import { SECTOR_BYTES, VOLUME_MAX_BYTES } from '@rsio/common/lib/limits';
import { SCHEMA } from '@rsio/common/config/schema/schema';
import { clientNames, size } from '@rsio/common/config/schema/value-types';
import { shownSize, volumeText } from '@rsio/common/manage/server-tables';

import { checkForm, type FieldSpec, focusOn, type Form, formOf, formText } from '../../model/form.ts';
import type { Dialog, Order } from './command.ts';
import { entry, fileForm, fileOrderOf, poolNames } from './file-dialogs.ts';
import { configIn, isSame, type ServerState, volumeIn } from './state.ts';
import { volumeNameText } from './volume-name.ts';

const keys = SCHEMA.rssrvcfg.volume.keys;
const volumeChunk = size(1, VOLUME_MAX_BYTES);
const volumeSize = size(SECTOR_BYTES, VOLUME_MAX_BYTES);

export function dialogForm(state: ServerState, dialog: Dialog): Form {
  switch (dialog.kind) {
    case 'create-volume':
      return formOf('Create volume', creationFields(state));
    case 'grow': {
      const now = volumeIn(state, dialog.volume)?.sizeBytes ?? null;
      const help = `New size of the volume; now it has ${shownSize(now)}. Clients may go on using it`;
      return formOf(`Grow volume ${volumeText(dialog.volume)}`, [{ key: 'size', entry: entry(volumeSize, help, true) }]);
    }
    case 'rename': {
      const help = 'New name of the volume. No client may hold it';
      return formOf(`Rename volume ${volumeText(dialog.volume)}`, [{ key: 'name', entry: entry(volumeNameText, help, true) }]);
    }
    case 'take-over':
      return formOf(`Take-over of volume ${volumeText(dialog.volume)}`, takeOverFields(state, dialog.volume));
    default:
      return fileForm(state, dialog);
  }
}

function creationFields(state: ServerState): FieldSpec[] {
  const pools = state.view?.pools ?? [];
  const poolOffers = pools.map((pool) => ({ text: pool.name, detail: `${shownSize(pool.usableBytes)} free` }));
  const poolHelp = 'Pool of the volume, or several with commas. Without a pool, rssrv chooses the one with the most room';
  const stripeHelp = 'With several pools: size of the chunks that go to the pools in turn; without it, the files follow one another';
  const thickHelp = 'Whether the space of the whole volume is allocated at once, so that writes never lack space';
  const clientsHelp = 'Clients that may attach it, with commas; F4 lists the known clients. A new name can become a new client';
  return [
    { key: 'name', entry: entry(volumeNameText, 'Name of the new volume', true) },
    { key: 'size', entry: entry(volumeSize, 'Size of the new volume; its content is zeros', true) },
    { key: 'clients', entry: entry(clientNames, clientsHelp, false, 'all') },
    {
      key: 'pool',
      entry: entry(poolNames, poolHelp, false, pools.length === 1 ? (pools[0]?.name ?? null) : 'most room'),
      offers: poolOffers,
    },
    { key: 'thick', entry: entry(keys.readonly.type, thickHelp, false, 'no') },
    { key: 'stripe', entry: entry(volumeChunk, stripeHelp), isMore: true },
    { key: 'readonly', entry: keys.readonly, isMore: true },
    { key: 'shared', entry: keys.shared, isMore: true },
    { key: 'blocksize', entry: keys.blocksize, isMore: true },
  ];
}

function takeOverFields(state: ServerState, volume: Parameters<typeof volumeIn>[1]): FieldSpec[] {
  const now = volumeIn(state, volume);
  const names = now?.takeOver?.join(',');
  return [
    { key: 'take-over', entry: keys['take-over'], text: names === undefined ? 'yes' : names === '' ? 'no' : names },
    { key: 'take-over-force', entry: keys['take-over-force'], text: now?.takeOverForce === true ? 'yes' : 'no' },
  ];
}

/** The order that the form leads to, or the form with the problem that keeps it from becoming one. */
export function orderOf(dialog: Dialog, form: Form): { readonly order: Order } | { readonly form: Form } {
  const checked = checkForm(form);
  if (checked.problem !== null) return { form: checked };
  switch (dialog.kind) {
    case 'create-volume': {
      const order = creationOf(form);
      if (order.volume.chunkBytes === null || order.volume.pools !== null) return { order };
      return { form: { ...focusOn(form, 'pool'), problem: 'A stripe needs several pools: name them with commas, or leave stripe empty' } };
    }
    case 'grow':
      return { order: { kind: 'grow', volume: dialog.volume, sizeBytes: volumeSize.parse(formText(form, 'size')) } };
    case 'rename': {
      const to = volumeNameText.parse(formText(form, 'name'));
      if (!isSame(to, dialog.volume)) return { order: { kind: 'rename', volume: dialog.volume, to } };
      const problem = `Volume ${volumeText(to)} already has this name: give another one`;
      return { form: { ...focusOn(form, 'name'), problem } };
    }
    case 'take-over': {
      const settings = ['take-over', 'take-over-force'].map(
        (key) => `${key}=${formText(form, key) || (key === 'take-over' ? 'yes' : 'no')}`,
      );
      return { order: { kind: 'set', volume: dialog.volume, settings } };
    }
    default:
      return { order: fileOrderOf(dialog, form) };
  }
}

function creationOf(form: Form): Extract<Order, { kind: 'create' }> {
  const text = formText(form, 'pool');
  const pools = text === '' ? [] : poolNames.parse(text);
  const stripe = formText(form, 'stripe');
  const clients = formText(form, 'clients');
  const isSet = (key: string): boolean => formText(form, key) === 'yes';
  return {
    kind: 'create',
    newClients: [],
    volume: {
      ...volumeNameText.parse(formText(form, 'name')),
      sizeBytes: volumeSize.parse(formText(form, 'size')),
      blockSizeBytes: formText(form, 'blocksize') === '4096' ? 4096 : 512,
      pool: pools.length === 1 ? (pools[0] ?? null) : null,
      pools: pools.length > 1 ? pools : null,
      chunkBytes: stripe === '' ? null : volumeChunk.parse(stripe),
      thick: isSet('thick'),
      readonly: isSet('readonly'),
      shared: isSet('shared'),
      clients: clients === '' ? null : clientNames.parse(clients),
      takeOver: null,
      takeOverForce: false,
    },
  };
}

/** Names of clients that [clients] does not list. None if nothing is known about the clients. */
export function unknownClients(state: ServerState, names: readonly string[] | null): readonly string[] {
  const known = state.view?.clients ?? configIn(state)?.clients;
  return known === undefined ? [] : (names ?? []).filter((each) => !known.some((client) => client.name === each));
}
