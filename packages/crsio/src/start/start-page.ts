// The first page on a machine that has several parts: the user chooses the appliance, the server or the client. Invariant: all parts keep
// their state while the start page is shown, so that nothing is lost.

import { type Command, firstState, pageOf, type Machine, type Role, step } from '../machine/machine.ts';
import { commandRow, EMPTY_ROW, textRow } from '../machine/rows.ts';
import type { Size } from '../widgets/canvas.ts';
import type { PartKind, Parts } from './parts.ts';

export interface StartState extends Machine<StartState> {
  /** The files of the parts that this machine has; null for a part without a file. */
  readonly files: { readonly [K in Exclude<PartKind, 'start'>]?: string | null };
}

const HELP = `This machine has several parts.

Appliance: network, time, password, disks and system of an appliance. Server: rssrv on this machine, which offers volumes to clients. Client: rsiod on this machine, which uses the volumes of servers.

Up and Down move, Enter opens, Esc comes back here, F10 leaves.`;

const CHOICES = {
  appliance: 'Appliance  network, time, password, disks and system of this machine',
  server: 'Server     volumes, pools and clients of rssrv on this machine',
  client: 'Client     the servers whose volumes this machine uses',
} as const;
const FILES = { appliance: '', server: 'Server file', client: 'Client file' } as const;

export function startState(size: Size, files: StartState['files'], parts: Pick<Parts, 'show' | 'leaveFrom'>): StartState {
  const end = (): void => parts.leaveFrom('start');
  const leave: Command<StartState> = (state) => step(state, end);
  const opening =
    (kind: PartKind): Command<StartState> =>
    (state) =>
      step(state, () => parts.show(kind));
  const present = (['appliance', 'server', 'client'] as const).filter((kind) => files[kind] !== undefined);
  const choices = [...present.map((kind) => [CHOICES[kind], opening(kind)] as const), ['Leave      F10', leave] as const];
  const page = pageOf<StartState>('start', () => ({
    title: 'RSIO on this machine',
    rows: [
      ...choices.map(([text, command]) => commandRow(command, text)),
      EMPTY_ROW,
      ...present.flatMap((kind) => (typeof files[kind] === 'string' ? [textRow(`${FILES[kind]} ${files[kind]}`)] : [])),
    ],
    actions: null,
    hint: 'Enter opens, F1 shows help',
    help: { title: 'crsio', text: HELP },
  }));
  const role: Role<StartState> = {
    save: (state) => step(state),
    leave,
    mayEnd: ({ popups }) => popups.length === 0,
    isUnsaved: () => false,
    mark: () => '',
    keys: 'F1 Help   F10 Leave',
    saveKey: () => null,
    showStart: () => {},
    end,
  };
  return { ...firstState({ role, size, hasStart: false }, page), files };
}
