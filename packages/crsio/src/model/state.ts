// All that crsio knows at one moment, as one value: the document that is edited, the screens that lie on each other, and the question on top
// of them. Nothing here does anything: update.ts makes the next state, screens/ show it.
// Invariant: the document is always one that the reader accepts, so that it can be saved at any time.

import type { FileFingerprint } from '@rsio/common/config/config-file';
import { type IniDocument, printIni } from '@rsio/common/config/ini/ini-document';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import type { AttachmentView, NamespaceView, StatsView, StatusView } from '@rsio/common/control/methods';
import type { FoundServer } from '@rsio/protocol/explorer/discovery/exploration';
import type { Finding } from '@rsio/protocol/explorer/discovery/finding';
import type { MachineInterface } from '@rsio/protocol/explorer/network/interfaces';
import type { Examination, ProbeReport } from '@rsio/protocol/explorer/probe/probe-report';
import type { Size } from '../widgets/canvas.ts';
import type { Command, ExploreRequest, FormPurpose } from './command.ts';
import { type Form, isTouched } from './form.ts';

/** What went wrong outside, for a person. */
export interface Failure {
  readonly code: string;
  readonly message: string;
}

/** The file as it was when it was read or written last. */
export interface StoredFile {
  readonly text: string;
  /** null: there is no file. */
  readonly fingerprint: FileFingerprint | null;
}

/** What rsiod said at one moment. */
export interface Sample {
  readonly atMs: number;
  readonly status: StatusView;
  readonly stats: StatsView;
  readonly attachments: readonly AttachmentView[];
  readonly namespaces: readonly NamespaceView[];
}

export interface FormScreen {
  readonly kind: 'form';
  readonly purpose: FormPurpose;
  readonly form: Form;
}

export interface FoundScreen {
  readonly kind: 'found';
  readonly focus: number;
  readonly run: number;
  readonly isRunning: boolean;
  readonly request: ExploreRequest;
  readonly servers: readonly FoundServer[];
  readonly findings: readonly Finding[];
}

/** A server of the namespace, and which pairs of interfaces lead to it. */
export interface SearchedServer {
  readonly server: FoundServer;
  readonly examination: Examination;
}

export interface SearchScreen {
  readonly kind: 'search';
  readonly focus: number;
  readonly run: number;
  readonly namespace: string;
  /** What is being done; null: it has ended. */
  readonly doing: string | null;
  /** Of the servers that are not done yet. */
  readonly reports: readonly ProbeReport[];
  /** What became of every interface of every server, when the search has ended. */
  readonly outcomes: readonly ServerOutcome[];
  readonly findings: readonly Finding[];
}

/** What became of one interface of a server. */
export interface ServerOutcome {
  readonly server: string;
  readonly address: string;
  /** Its section: a new one or one that had been there; null: it was left out. */
  readonly section: string | null;
  readonly isNew: boolean;
  /** How it can be reached, or why it cannot. */
  readonly sentences: readonly string[];
}

export interface StatusScreen {
  readonly kind: 'status';
  readonly focus: number;
  readonly run: number;
  readonly before: Sample | null;
  readonly now: Sample | null;
  /** Why there is nothing newer; null: there is. */
  readonly failure: Failure | null;
}

export interface TestScreen {
  readonly kind: 'test';
  readonly focus: number;
  readonly run: number;
  /** null: the test runs. */
  readonly lines: readonly string[] | null;
}

export interface DifferenceScreen {
  readonly kind: 'difference';
  readonly focus: number;
  readonly theirs: StoredFile;
}

export type ListScreen =
  | { readonly kind: 'menu' | 'interfaces' | 'namespaces'; readonly focus: number }
  | { readonly kind: 'namespace'; readonly focus: number; readonly name: string }
  | FoundScreen
  | SearchScreen
  | StatusScreen
  | TestScreen
  | DifferenceScreen;

export type Screen = FormScreen | ListScreen;

/** A line of a list to choose from. */
export interface Choice {
  readonly label: string;
  readonly command: Command;
}

/** What lies over the screen until it is answered or closed. Without choices it is a text to be read. */
export interface Popup {
  readonly title: string;
  readonly text: string;
  readonly choices: readonly Choice[];
  /** Of the choices; without any the first line that shows. */
  readonly focus: number;
}

export interface State {
  /** As a person names it. */
  readonly configFile: string;
  /** Without it the file is only shown: nothing is edited that could not be saved. */
  readonly isWritable: boolean;
  /** How rsiod is started. */
  readonly startCommand: string;
  readonly size: Size;
  readonly document: IniDocument;
  /** What the document was when it was the same as the file. */
  readonly clean: string;
  readonly stored: StoredFile;
  readonly machine: readonly MachineInterface[];
  /** The last one shows. */
  readonly screens: readonly [Screen, ...Screen[]];
  readonly popups: readonly Popup[];
  /** What happened last, until the next key. */
  readonly note: string | null;
  /** Set while the file is being written and rsiod is asked to read it. */
  readonly saving: { readonly thenLeave: boolean } | null;
  /** Addresses at which servers of a namespace (by id) were found: asked again when its servers are searched. */
  readonly knownAddresses: Readonly<Record<number, readonly string[]>>;
  /** Number of the last thing begun: what an older one still says is not heard. */
  readonly runs: number;
}

export function topScreen(state: State): Screen {
  return state.screens.at(-1) ?? state.screens[0];
}

/** The same with another screen on top, in place of the one that shows. */
export function withTop(state: State, screen: Screen): State {
  const [first, ...others] = state.screens;
  return { ...state, screens: others.length === 0 ? [screen] : [first, ...others.slice(0, -1), screen] };
}

export function pushScreen(state: State, screen: Screen): State {
  return { ...state, screens: [...state.screens, screen] };
}

/** Without the screen that shows; the first one stays. */
export function popScreen(state: State): State {
  const [first, ...others] = state.screens;
  return { ...state, screens: [first, ...others.slice(0, -1)] };
}

export function pushPopup(state: State, popup: Popup): State {
  return { ...state, popups: [...state.popups, popup] };
}

/** A sentence that has to be seen. */
export function notice(title: string, text: string): Popup {
  return { title, text, choices: [{ label: 'Close', command: { do: 'close-popup' } }], focus: 0 };
}

export function configOf(state: State): RscltConfig {
  return parseRscltConfig(printIni(state.document), state.configFile);
}

/** Whether something would be lost by leaving now. */
export function isUnsaved(state: State): boolean {
  return printIni(state.document) !== state.clean || isFormTouched(state);
}

export function isFormTouched(state: State): boolean {
  return state.screens.some((screen) => screen.kind === 'form' && screen.purpose.kind !== 'explore' && isTouched(screen.form));
}
