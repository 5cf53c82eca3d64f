// The first page on a machine that is a server and a client: the user chooses which of them to administer. Pure. Invariant: both parts keep
// their state while the user is here, so that nothing is lost.

import type { Failure } from '../model/state.ts';
import { notice } from '../model/state.ts';
import { commandRow, EMPTY_ROW, textRow } from '../pages/page.ts';
import { type Drawn, drawPicture } from '../view/frame.ts';
import { popupFocus, type PopupPicture } from '../view/popup-view.ts';
import { isLargeEnough, type Signs } from '../widgets/border.ts';
import type { Size } from '../widgets/canvas.ts';
import { moved } from '../widgets/focus.ts';
import type { Input } from '../widgets/keys.ts';

export interface StartState {
  readonly size: Size;
  readonly files: { readonly server: string; readonly client: string };
  readonly focus: number;
  readonly popup: PopupPicture | null;
}

export type StartAction =
  | Input
  | { readonly kind: 'resized'; readonly size: Size }
  /** A part cannot be opened. */
  | { readonly kind: 'refused'; readonly failure: Failure };

export type StartEffect = { readonly kind: 'open-server' | 'open-client' | 'leave' };

const LINES = [
  ['Server   volumes, pools and clients of rssrv on this machine', 'open-server'],
  ['Client   the servers whose volumes this machine uses', 'open-client'],
  ['Leave    F10', 'leave'],
] as const;

const HELP = `This machine is a server and a client.

Server: rssrv on this machine, which offers volumes to clients. Client: rsiod on this machine, which uses the volumes of servers.

Up and Down move, Enter opens, Esc comes back here, F10 leaves.`;

export function startState(size: Size, files: StartState['files']): StartState {
  return { size, files, focus: 0, popup: null };
}

export function updateStart(
  state: StartState,
  action: StartAction,
): { readonly state: StartState; readonly effects: readonly StartEffect[] } {
  const stay = (next: StartState) => ({ state: next, effects: [] });
  const effect = (kind: StartEffect['kind']) => ({ state, effects: [{ kind }] });
  if (action.kind === 'resized') return stay({ ...state, size: action.size });
  if (action.kind === 'refused')
    return stay({ ...state, popup: notice('Not opened', `${action.failure.message} [${action.failure.code}]`) });
  if (action.kind === 'text') return stay(state);
  const { key } = action;
  const { popup } = state;
  if (key === 'leave' && popup === null) return effect('leave');
  if (!isLargeEnough(state.size)) return stay(state);
  if (popup !== null) {
    if (key === 'escape' || key === 'enter' || key === 'leave') return stay({ ...state, popup: null });
    return stay({ ...state, popup: { ...popup, focus: popupFocus(popup, state.size, key) } });
  }
  if (key === 'help') return stay({ ...state, popup: { title: 'crsio', text: HELP, choices: [], focus: 0 } });
  if (key === 'enter') return effect(LINES[state.focus]?.[1] ?? 'leave');
  return stay({ ...state, focus: moved(state.focus, LINES.length, key) });
}

export function drawStart({ size, files, focus, popup }: StartState, signs: Signs): Drawn {
  return drawPicture(
    {
      size,
      mark: '',
      title: 'RSIO on this machine',
      content: {
        kind: 'rows',
        rows: [
          ...LINES.map(([text, command]) => commandRow(command, text)),
          EMPTY_ROW,
          textRow(`Server file ${files.server}`),
          textRow(`Client file ${files.client}`),
        ],
        focus,
      },
      words: { style: 'plain', text: 'Enter opens, F1 shows help' },
      keys: 'F1 Help   F10 Leave',
      popup,
    },
    signs,
  );
}
