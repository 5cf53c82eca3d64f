// The whole state of crsio's part for the server as one value: what rssrv last said, what its file says, the changes in progress, the stack
// of screens, and the popups above the top screen. Invariants: changes take effect at once, so that leaving loses nothing but an open form;
// while rssrv does not answer, what it said before stays, with its age.

import type { RssrvConfig } from '@rsio/common/config/schema/types';
import type { ClientView, InterfaceView, ManagedVolumeView, PoolView, RemovedVolumeView } from '@rsio/common/control/server/views';
import type { ServerMethods } from '@rsio/common/control/server/server-methods';
import type { VolumeName } from '@rsio/common/manage/volumes/values';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { type Form, isTouched } from '../../model/form.ts';
import type { Choice, Failure, Popup } from '../../model/state.ts';
import type { Size } from '../../widgets/canvas.ts';
import type { Dialog, ListKind, MarksTarget, Order, ServerCommand } from './command.ts';

/** rssrv's answers to requests that crsio sent together. */
export interface ServerView {
  readonly daemon: ServerMethods['daemon']['result'];
  readonly pools: readonly PoolView[];
  readonly volumes: readonly ManagedVolumeView[];
  readonly removed: readonly RemovedVolumeView[];
  readonly clients: readonly ClientView[];
  readonly interfaces: readonly InterfaceView[];
}

/** The configuration file as it is now. */
export type FileView = { readonly config: RssrvConfig } | { readonly failure: Failure };

/** What crsio found out at one time. */
export interface Look {
  readonly file: FileView;
  /** Interfaces of this machine. */
  readonly machine: readonly MachineInterface[];
  readonly server: ServerView | Failure;
  readonly startedMs: number;
  readonly endedMs: number;
}

export interface Marks {
  /** The first entry stands for all clients. */
  readonly entries: readonly { readonly name: string; readonly detail: string; readonly isMarked: boolean }[];
  readonly target: MarksTarget;
}

export interface ServerPopup extends Popup<ServerCommand> {
  /** Present in a popup whose entries can be marked with the space bar. */
  readonly marks?: Marks;
}

export type ServerChoice = Choice<ServerCommand>;

export interface ListScreen {
  readonly kind: 'menu' | ListKind;
  readonly focus: number;
  /** Only the rows with this text are shown. */
  readonly filter: string;
}

export interface VolumeScreen {
  readonly kind: 'volume';
  readonly focus: number;
  readonly volume: VolumeName;
}

/** The page of one pool or client. */
export interface NamedScreen {
  readonly kind: 'pool' | 'client';
  readonly focus: number;
  readonly name: string;
}

export interface DialogScreen {
  readonly kind: 'form';
  readonly dialog: Dialog;
  readonly form: Form;
}

export type PageScreen = ListScreen | VolumeScreen | NamedScreen;
export type ServerScreen = PageScreen | DialogScreen;

/** A change that rssrv has not answered yet. */
export interface Pending {
  readonly id: number;
  readonly order: Order;
  /** The form that asked for the change; null if none did. */
  readonly dialog: Dialog | null;
  readonly sinceMs: number;
}

export interface ServerState {
  readonly configFile: string;
  readonly startCommand: string;
  /** True if there is a start page, from which the user also reaches the client. */
  readonly hasStart: boolean;
  readonly size: Size;
  /** Monotonic time of the last tick. */
  readonly nowMs: number;
  readonly wallMs: number;
  readonly file: FileView | null;
  readonly machine: readonly MachineInterface[];
  readonly view: ServerView | null;
  /** When `view` was complete. */
  readonly viewMs: number;
  /** Why rssrv did not answer last time; null if it did. */
  readonly failure: Failure | null;
  /** When crsio began to ask rssrv; null if it is not asking. */
  readonly askingSinceMs: number | null;
  readonly nextLookMs: number;
  /** True if something has changed since the look that is in progress began. */
  readonly isStale: boolean;
  readonly pending: readonly Pending[];
  /** Number of changes so far. */
  readonly orders: number;
  /** The stack of screens; the last one is shown. */
  readonly screens: readonly [ServerScreen, ...ServerScreen[]];
  readonly popups: readonly ServerPopup[];
  /** Message about the last event; the next key press removes the message. */
  readonly note: string | null;
  /** False until the user presses a key. */
  readonly isUsed: boolean;
}

export function startServerState(
  given: Pick<ServerState, 'configFile' | 'startCommand' | 'hasStart' | 'size' | 'nowMs' | 'wallMs'>,
): ServerState {
  return {
    ...given,
    file: null,
    machine: [],
    view: null,
    viewMs: 0,
    failure: null,
    askingSinceMs: null,
    nextLookMs: given.nowMs,
    isStale: false,
    pending: [],
    orders: 0,
    screens: [{ kind: 'menu', focus: 0, filter: '' }],
    popups: [],
    note: null,
    isUsed: false,
  };
}

export function topOf(state: ServerState): ServerScreen {
  return state.screens.at(-1) ?? state.screens[0];
}

/** Replaces the top screen. */
export function withScreen(state: ServerState, screen: ServerScreen): ServerState {
  const [first, ...others] = state.screens;
  return { ...state, screens: others.length === 0 ? [screen] : [first, ...others.slice(0, -1), screen] };
}

export function openScreen(state: ServerState, screen: ServerScreen): ServerState {
  return { ...state, screens: [...state.screens, screen] };
}

/** Removes the top screen, but never the first one. */
export function closeScreen(state: ServerState): ServerState {
  const [first, ...others] = state.screens;
  return { ...state, screens: [first, ...others.slice(0, -1)] };
}

export function openPopup(state: ServerState, popup: ServerPopup): ServerState {
  return { ...state, popups: [...state.popups, popup] };
}

/** True if leaving now would lose the entries of a form. */
export function hasTouchedForm(state: ServerState): boolean {
  return state.screens.some((screen) => screen.kind === 'form' && isTouched(screen.form));
}

/** The configuration; null if the file cannot be read or has errors. */
export function configIn(state: ServerState): RssrvConfig | null {
  return state.file !== null && 'config' in state.file ? state.file.config : null;
}

export function volumeIn({ view }: ServerState, { name, universe }: VolumeName): ManagedVolumeView | null {
  return view?.volumes.find((volume) => volume.name === name && volume.universe === universe) ?? null;
}

export function isSame(a: VolumeName, b: VolumeName): boolean {
  return a.name === b.name && a.universe === b.universe;
}
