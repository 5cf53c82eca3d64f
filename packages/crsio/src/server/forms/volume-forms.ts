// The forms of volumes, and the change that each leads to. file-forms.ts has the forms whose changes are edits of the file. Pure. Invariant: a form
// becomes a change only if each field is valid by itself; rssrv decides everything else.

import { SECTOR_BYTES, VOLUME_MAX_BYTES } from '@rsio/common/lib/limits';
import { SCHEMA } from '@rsio/common/config/schema/schema';
import { clientNames, size } from '@rsio/common/config/schema/value-types';
import { shownSize, volumeText } from '@rsio/common/manage/server-tables';
import type { VolumeName } from '@rsio/common/manage/volumes/values';
import { type FieldSpec, focusOn, type Form, formOf, formText } from '../../machine/form.ts';
import { CREATE_HELP } from '../model/help-text.ts';
import type { Order } from '../model/order.ts';
import { type Follow, isSame, type ServerCommand, type ServerState, volumeIn } from '../model/state.ts';
import { orderForm } from '../work/ordering.ts';
import { entry, poolNames } from './file-forms.ts';
import { volumeNameText } from './volume-name.ts';

const keys = SCHEMA.rssrvcfg.volume.keys;
const volumeChunk = size(1, VOLUME_MAX_BYTES);
const volumeSize = size(SECTOR_BYTES, VOLUME_MAX_BYTES);

/** `follow`: shows the new volume. */
export function createVolume(follow: Follow): ServerCommand {
  return orderForm((state) => formOf('Create volume', creationFields(state)), {
    toOrder: (form) => {
      const order = creationOf(form);
      if (order.volume.chunkBytes === null || order.volume.pools !== null) return order;
      return { ...focusOn(form, 'pool'), problem: 'A stripe needs several pools: name them with commas, or leave stripe empty' };
    },
    help: CREATE_HELP,
    follow,
  });
}

export function growVolume(volume: VolumeName): ServerCommand {
  return orderForm(
    (state) => {
      const now = volumeIn(state, volume)?.sizeBytes ?? null;
      const help = `New size of the volume; now it has ${shownSize(now)}. Clients may go on using it`;
      return formOf(`Grow volume ${volumeText(volume)}`, [{ key: 'size', entry: entry(volumeSize, help, true) }]);
    },
    { toOrder: (form) => ({ kind: 'grow', volume, sizeBytes: volumeSize.parse(formText(form, 'size')) }) },
  );
}

/** `follow`: shows the volume under its new name. */
export function renameVolume(volume: VolumeName, follow: Follow): ServerCommand {
  const fields = [{ key: 'name', entry: entry(volumeNameText, 'New name of the volume. No client may hold it', true) }];
  return orderForm(() => formOf(`Rename volume ${volumeText(volume)}`, fields), {
    toOrder: (form) => {
      const to = volumeNameText.parse(formText(form, 'name'));
      if (!isSame(to, volume)) return { kind: 'rename', volume, to };
      return { ...focusOn(form, 'name'), problem: `Volume ${volumeText(to)} already has this name: give another one` };
    },
    follow,
  });
}

export function changeTakeOver(volume: VolumeName): ServerCommand {
  return orderForm((state) => formOf(`Take-over of volume ${volumeText(volume)}`, takeOverFields(state, volume)), {
    toOrder: (form) => {
      const settings = ['take-over', 'take-over-force'].map(
        (key) => `${key}=${formText(form, key) || (key === 'take-over' ? 'yes' : 'no')}`,
      );
      return { kind: 'set', volume, settings };
    },
  });
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

function takeOverFields(state: ServerState, volume: VolumeName): FieldSpec[] {
  const now = volumeIn(state, volume);
  const names = now?.takeOver?.join(',');
  return [
    { key: 'take-over', entry: keys['take-over'], text: names === undefined ? 'yes' : names === '' ? 'no' : names },
    { key: 'take-over-force', entry: keys['take-over-force'], text: now?.takeOverForce === true ? 'yes' : 'no' },
  ];
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
