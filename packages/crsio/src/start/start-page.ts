// The first page on a machine that is a server and a client: the user chooses which of them to administer. Invariant: both parts keep their state
// while the user is here, so that nothing is lost.

import { type Command, type Machine, step } from '../machine/machine.ts';
import { EMPTY_ROW, textRow } from '../machine/rows.ts';
import type { Size } from '../widgets/canvas.ts';

export interface StartState extends Machine<StartState> {
  readonly files: { readonly server: string; readonly client: string };
}

/** The ways out of the start page. */
export interface Doors {
  openServer(): void;
  openClient(): void;
  leave(): void;
}

const HELP = `This machine is a server and a client.

Server: rssrv on this machine, which offers volumes to clients. Client: rsiod on this machine, which uses the volumes of servers.

Up and Down move, Enter opens, Esc comes back here, F10 leaves.`;

export function startState(size: Size, files: StartState['files'], doors: Doors): StartState {
  const through =
    (door: () => void): Command<StartState> =>
    (state) =>
      step(state, door);
  const choices = [
    ['Server   volumes, pools and clients of rssrv on this machine', through(() => doors.openServer())],
    ['Client   the servers whose volumes this machine uses', through(() => doors.openClient())],
    ['Leave    F10', through(() => doors.leave())],
  ] as const;
  const rows = [
    ...choices.map(([text, command]) => ({ lines: [text], command, remove: null })),
    EMPTY_ROW,
    textRow(`Server file ${files.server}`),
    textRow(`Client file ${files.client}`),
  ];
  return {
    files,
    size,
    hasStart: false,
    role: {
      save: (state) => step(state),
      leave: through(() => doors.leave()),
      mayEnd: ({ popups }) => popups.length === 0,
      isUnsaved: () => false,
      mark: () => '',
      keys: 'F1 Help   F10 Leave',
      saveKey: () => null,
      showStart: () => {},
      end: () => doors.leave(),
    },
    pages: [
      {
        kind: 'list',
        id: 'start',
        focus: 0,
        filter: null,
        content: () => ({
          title: 'RSIO on this machine',
          rows,
          actions: null,
          hint: 'Enter opens, F1 shows help',
          help: { title: 'crsio', text: HELP },
        }),
      },
    ],
    popups: [],
    note: null,
    isUsed: false,
  };
}
