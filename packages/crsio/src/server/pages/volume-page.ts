// The page of one volume: everything that rssrv reports about the volume, and the commands for it. Pure. Invariant: for a volume that a
// section of the file configures, the page offers no changes, because such a volume is changed only in the file.

import type { ManagedVolumeView } from '@rsio/api/views/views';
import { volumeDetails, volumeText } from '@rsio/api/views/server-tables';
import type { VolumeName } from '@rsio/api/views/values';
import { onTop, pushed, withTop } from '../../machine/machine.ts';
import { problemRow, textRow } from '../../machine/rows.ts';
import { changeTakeOver, createVolume, growVolume, renameVolume } from '../forms/volume-forms.ts';
import { VOLUME_HELP } from '../model/help-text.ts';
import type { ServerChoice, ServerCommand, ServerPage, ServerRow, ServerState } from '../model/state.ts';
import { idOf, isSame, volumeIn } from '../model/state.ts';
import { markClients, ordering } from '../work/ordering.ts';
import { setting } from '../work/orders.ts';
import { askRemoval } from '../work/questions.ts';
import { factsOf } from './facts.ts';
import { objectPage } from './list-page.ts';
import { WAITING_ROW } from './rows.ts';
import { showSnapshots } from './snapshots-page.ts';

export const CREATE_VOLUME: ServerChoice = {
  label: 'Create volume',
  command: createVolume((state, volume) => pushed(state, volumePage(volume))),
};

export function volumePage({ name, universe }: VolumeName): ServerPage {
  const own = { name, universe };
  return objectPage(idOf('volume', volumeText(own)), (state) => {
    const volume = factsOf(state)?.volumes.find((each) => isSame(each, own)) ?? null;
    const isInFile = volume !== null && volume.pool === null;
    const changes = volume === null || isInFile ? [] : changesOf(volume);
    return {
      title: `Volume ${volumeText(own)}`,
      details: volume === null ? [absentRow(state)] : stateRows(volume),
      changes,
      remove: askRemoval(own),
      below: isInFile ? [textRow(`A section of ${state.configFile} configures it: edit the file, then reload`)] : [],
      hint: changes.length === 0 ? 'Esc goes back' : 'Enter changes the selected setting, Esc goes back',
      help: { title: 'Volume', text: VOLUME_HELP },
    };
  });
}

function absentRow({ askingSinceMs, view }: ServerState): ServerRow {
  return askingSinceMs === null && view !== null ? textRow('This volume does not exist any more') : WAITING_ROW;
}

function stateRows(volume: ManagedVolumeView): ServerRow[] {
  const lines = volumeDetails(volume).trimEnd().split('\n').slice(1);
  return lines.map((line) => {
    const text = line.replace(/^ {4}/, '');
    return /^state: +unavailable/.test(text) ? problemRow(text) : textRow(text);
  });
}

function changesOf(volume: ManagedVolumeView): readonly ServerChoice[] {
  const { name, universe, readonly, shared } = volume;
  const own: VolumeName = { name, universe };
  const set = (key: string): ServerCommand => ordering(setting(own, [key]));
  const chooseClients: ServerCommand = (state) =>
    markClients(state, volumeIn(state, own)?.clients ?? null, (names) => set(`clients=${names}`));
  return [
    { label: 'Choose its clients', command: chooseClients },
    { label: `Snapshots (${volume.snapshots})`, command: showSnapshots(own) },
    { label: 'Grow', command: growVolume(own) },
    { label: 'Rename', command: renameVolume(own, (state, to) => renamed(state, own, to)) },
    { label: readonly ? 'Allow writes' : 'Make read-only', command: set(`readonly=${readonly ? 'no' : 'yes'}`) },
    { label: shared ? 'Let only one client write' : 'Let several clients write', command: set(`shared=${shared ? 'no' : 'yes'}`) },
    { label: 'Take-over', command: changeTakeOver(own) },
    { label: 'Remove', command: askRemoval(own) },
  ];
}

/** Replaces the page of the volume with the page under the new name. */
function renamed(state: ServerState, before: VolumeName, to: VolumeName): ServerState {
  const page = onTop(state, volumePage(before).id);
  return page === null ? state : withTop(state, { ...volumePage(to), focus: page.focus });
}
