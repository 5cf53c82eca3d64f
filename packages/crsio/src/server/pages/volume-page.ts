// The page of one volume: everything that rssrv says of it, and what can be done with it. Pure. Invariant: a volume that a section of the file
// configures offers no change, because only the file changes it.

import type { ManagedVolumeView } from '@rsio/common/control/server/views';
import { volumeDetails, volumeText } from '@rsio/common/manage/server-tables';
import type { VolumeName } from '@rsio/common/manage/volumes/values';
import { commandRow, EMPTY_ROW, problemRow, textRow } from '../../pages/page.ts';
import type { ServerCommand } from '../model/command.ts';
import type { ServerChoice, ServerState, VolumeScreen } from '../model/state.ts';
import { isSame } from '../model/state.ts';
import { factsOf } from './facts.ts';
import { VOLUME_HELP } from './help-text.ts';
import { ASK_AGAIN, type ServerPage, type ServerRow, troubleRows, WAITING_ROW } from './server-page.ts';

export function volumePage(state: ServerState, { volume: name }: VolumeScreen): ServerPage {
  const volume = factsOf(state)?.volumes.find((each) => isSame(each, name)) ?? null;
  const changes = volume === null || volume.pool === null ? [] : changesOf(volume);
  return {
    title: `Volume ${volumeText(name)}`,
    rows: [
      ...troubleRows(state),
      ...(volume === null ? [absentRow(state)] : stateRows(volume)),
      EMPTY_ROW,
      ...changes.map(
        ({ label, command }): ServerRow => ({
          ...commandRow(command, label),
          remove: { do: 'ask', question: { kind: 'remove-volume', volume: name } },
        }),
      ),
      ...(volume !== null && volume.pool === null
        ? [textRow(`A section of ${state.configFile} configures it: edit the file, then reload`)]
        : []),
    ],
    actions: [...changes, ASK_AGAIN],
    hint: changes.length === 0 ? 'Esc goes back' : 'Enter changes the selected setting, Esc goes back',
    help: { title: 'Volume', text: VOLUME_HELP },
    filter: null,
  };
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
  const set = (setting: string): ServerCommand => ({ do: 'order', order: { kind: 'set', volume: own, settings: [setting] } });
  return [
    { label: 'Choose its clients', command: { do: 'mark-clients', target: { kind: 'volume', volume: own } } },
    { label: 'Grow', command: { do: 'edit', dialog: { kind: 'grow', volume: own } } },
    { label: 'Rename', command: { do: 'edit', dialog: { kind: 'rename', volume: own } } },
    { label: readonly ? 'Allow writes' : 'Make read-only', command: set(`readonly=${readonly ? 'no' : 'yes'}`) },
    { label: shared ? 'Let only one client write' : 'Let several clients write', command: set(`shared=${shared ? 'no' : 'yes'}`) },
    { label: 'Take-over', command: { do: 'edit', dialog: { kind: 'take-over', volume: own } } },
    { label: 'Remove', command: { do: 'ask', question: { kind: 'remove-volume', volume: own } } },
  ];
}
