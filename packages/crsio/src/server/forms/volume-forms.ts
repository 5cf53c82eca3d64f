// The forms of volumes, each with the change that it requests from rssrv. The forms that edit rssrvcfg are in file-forms.ts. Invariant: a
// form becomes a change only if checkForm() accepts each field; rssrv checks everything else.

import { SECTOR_BYTES, UNIVERSE_MAX, VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import { SCHEMA } from '@rsio/common/config/schema/schema';
import { clientNames, size, type ValueType } from '@rsio/common/config/schema/value-types';
import { isSnapshotName, NAME_ALLOWED, plural, refuse, shownSize, SNAPSHOT_NAME_ALLOWED } from '@rsio/base/lib/units';
import { volumeText } from '@rsio/api/views/server-tables';
import { rate, type VolumeName, volumeName } from '@rsio/api/views/values';
import { entryOf, type FieldSpec, focusOn, type Form, formOf, formText } from '../../machine/form.ts';
import { CREATE_HELP } from '../model/help-text.ts';
import { configIn, isSame, type ServerCommand, type ServerState, volumeIn } from '../model/state.ts';
import { orderForm } from '../work/ordering.ts';
import { cloning, creation, growth, jobLimit, type NewVolume, renaming, type SeenSnapshot, setting, snapshotting } from '../work/orders.ts';
import { poolNames } from './file-forms.ts';

const keys = SCHEMA.rssrvcfg.volume.keys;
const volumeChunk = size(1, VOLUME_MAX_BYTES);
const volumeSize = size(SECTOR_BYTES, VOLUME_MAX_BYTES);

/** Returns a command that opens the form of a new volume. `show`: opens the page of the new volume. */
export function createVolume(show: (state: ServerState, volume: VolumeName) => ServerState): ServerCommand {
  return orderForm(
    (state) => formOf('Create volume', creationFields(state)),
    (form, state) => {
      const volume = newVolume(form);
      if (volume.chunkBytes !== null && volume.pools === null)
        return { ...focusOn(form, 'pool'), problem: 'A stripe needs several pools: name them with commas, or leave stripe empty' };
      const follow = (now: ServerState): ServerState => show(now, volume);
      const only = { ...creation(volume, []), follow };
      const unknown = unknownClients(state, volume.clients);
      if (unknown.length === 0) return only;
      return {
        title: 'New clients',
        text: `${unknown.join(', ')}: not listed in [clients] of ${state.configFile}`,
        answers: [
          [`Create the volume, and add ${plural(unknown.length, 'client')}`, { ...creation(volume, unknown), follow }],
          ['Create only the volume', only],
          ['Back to the form', null],
        ],
      };
    },
    CREATE_HELP,
  );
}

/** Returns the elements of `names` that are not in the section [clients]; none if crsio does not know the clients. */
function unknownClients(state: ServerState, names: readonly string[] | null): readonly string[] {
  const known = state.view?.clients ?? configIn(state)?.clients;
  return known === undefined ? [] : (names ?? []).filter((each) => !known.some((client) => client.name === each));
}

export function growVolume(volume: VolumeName): ServerCommand {
  return orderForm(
    (state) => {
      const now = volumeIn(state, volume)?.sizeBytes ?? null;
      const help = `New size of the volume; now it has ${shownSize(now)}. Clients may go on using it`;
      return formOf(`Grow volume ${volumeText(volume)}`, [{ key: 'size', entry: entryOf(volumeSize, help, true) }]);
    },
    (form) => growth(volume, volumeSize.parse(formText(form, 'size'))),
  );
}

/** Returns a command that opens the form to rename a volume. `show`: shows the page of the volume under the new name. */
export function renameVolume(volume: VolumeName, show: (state: ServerState, to: VolumeName) => ServerState): ServerCommand {
  const fields = [{ key: 'name', entry: entryOf(volumeNameText, 'New name of the volume. No client may hold it', true) }];
  return orderForm(
    () => formOf(`Rename volume ${volumeText(volume)}`, fields),
    (form) => {
      const to = volumeNameText.parse(formText(form, 'name'));
      if (!isSame(to, volume)) return { ...renaming(volume, to), follow: (state) => show(state, to) };
      return { ...focusOn(form, 'name'), problem: `Volume ${volumeText(to)} already has this name: give another one` };
    },
  );
}

export function changeTakeOver(volume: VolumeName): ServerCommand {
  return orderForm(
    (state) => formOf(`Take-over of volume ${volumeText(volume)}`, takeOverFields(state, volume)),
    (form) =>
      setting(volume, [
        `take-over=${formText(form, 'take-over') || 'yes'}`,
        `take-over-force=${formText(form, 'take-over-force') || 'no'}`,
      ]),
  );
}

export function makeSnapshot(volume: VolumeName): ServerCommand {
  const fields = [{ key: 'name', entry: entryOf(snapshotText, 'Name of the snapshot. Clients may write meanwhile', true) }];
  return orderForm(
    () => formOf(`Snapshot of ${volumeText(volume)}`, fields),
    (form) => snapshotting(volume, snapshotText.parse(formText(form, 'name'))),
  );
}

export function cloneSnapshot(volume: VolumeName, one: SeenSnapshot): ServerCommand {
  const help = 'Name of the new volume, which takes space only for what is written later';
  return orderForm(
    () => formOf(`New volume of ${volumeText(volume)}@${one.snapshot}`, [{ key: 'name', entry: entryOf(volumeNameText, help, true) }]),
    (form) => cloning(volume, one, volumeNameText.parse(formText(form, 'name'))),
  );
}

export function limitJob(id: string): ServerCommand {
  return orderForm(
    ({ view }) => {
      const now = view?.jobs.find((job) => job.id === id)?.limitBytes ?? null;
      const help = `Most bytes that it copies in a second, such as 100m, or none; now ${now === null ? 'none' : shownSize(now)}`;
      return formOf(`Limit of job ${id}`, [{ key: 'limit', entry: entryOf(rate, help, true) }]);
    },
    (form) => jobLimit(id, rate.parse(formText(form, 'limit'))),
  );
}

function creationFields(state: ServerState): FieldSpec[] {
  const pools = state.view?.pools ?? [];
  const poolOffers = pools.map((pool) => ({ text: pool.name, detail: `${shownSize(pool.usableBytes)} free` }));
  const poolHelp = 'Pool of the volume, or several with commas. Without a pool, rssrv chooses the one with the most room';
  const stripeHelp = 'With several pools: size of the chunks that go to the pools in turn; without it, the files follow one another';
  const thickHelp = 'Whether the space of the whole volume is allocated at once, so that writes never lack space';
  const clientsHelp = 'Clients that may attach it, with commas; F4 lists the known clients. A new name can become a new client';
  return [
    { key: 'name', entry: entryOf(volumeNameText, 'Name of the new volume', true) },
    { key: 'size', entry: entryOf(volumeSize, 'Size of the new volume; its content is zeros', true) },
    { key: 'clients', entry: entryOf(clientNames, clientsHelp, false, 'all') },
    {
      key: 'pool',
      entry: entryOf(poolNames, poolHelp, false, pools.length === 1 ? (pools[0]?.name ?? null) : 'most room'),
      offers: poolOffers,
    },
    { key: 'thick', entry: entryOf(keys.readonly.type, thickHelp, false, 'no') },
    { key: 'stripe', entry: entryOf(volumeChunk, stripeHelp), isMore: true },
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

function newVolume(form: Form): NewVolume {
  const text = formText(form, 'pool');
  const pools = text === '' ? [] : poolNames.parse(text);
  const stripe = formText(form, 'stripe');
  const clients = formText(form, 'clients');
  const isSet = (key: string): boolean => formText(form, key) === 'yes';
  return {
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
  };
}

/** The type of a volume's name, such as `oracle` or `oracle@1`. The type accepts the same names as rsadm. */
const volumeNameText: ValueType<VolumeName> = {
  kind: 'name',
  allowed: `${NAME_ALLOWED}, optionally followed by @UNIVERSE (0 to ${UNIVERSE_MAX})`,
  isSecret: false,
  parse: (text) => volumeName(text, 'crsio'),
};

const snapshotText: ValueType<string> = {
  kind: 'name',
  allowed: SNAPSHOT_NAME_ALLOWED,
  isSecret: false,
  parse: (text) => (isSnapshotName(text) ? text : refuse('snapshot name', text, SNAPSHOT_NAME_ALLOWED)),
};
