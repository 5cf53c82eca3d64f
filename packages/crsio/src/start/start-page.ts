// The first page on a machine that is a server and a client: the user chooses whether to administer the server or the client. Invariant:
// both parts keep their state while the start page is shown, so that nothing is lost.

import { type Command, firstState, pageOf, type Machine, type Role, step } from '../machine/machine.ts';
import { commandRow, EMPTY_ROW, textRow } from '../machine/rows.ts';
import type { Size } from '../widgets/canvas.ts';
import type { PartKind, Parts } from './parts.ts';

export interface StartState extends Machine<StartState> {
  readonly files: { readonly server: string; readonly client: string };
}

const HELP = `This machine is a server and a client.

Server: rssrv on this machine, which offers volumes to clients. Client: rsiod on this machine, which uses the volumes of servers.

Up and Down move, Enter opens, Esc comes back here, F10 leaves.`;

export function startState(size: Size, files: StartState['files'], parts: Pick<Parts, 'show' | 'leaveFrom'>): StartState {
  const end = (): void => parts.leaveFrom('start');
  const leave: Command<StartState> = (state) => step(state, end);
  const opening =
    (kind: PartKind): Command<StartState> =>
    (state) =>
      step(state, () => parts.show(kind));
  const choices = [
    ['Server   volumes, pools and clients of rssrv on this machine', opening('server')],
    ['Client   the servers whose volumes this machine uses', opening('client')],
    ['Leave    F10', leave],
  ] as const;
  const page = pageOf<StartState>('start', () => ({
    title: 'RSIO on this machine',
    rows: [
      ...choices.map(([text, command]) => commandRow(command, text)),
      EMPTY_ROW,
      textRow(`Server file ${files.server}`),
      textRow(`Client file ${files.client}`),
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
