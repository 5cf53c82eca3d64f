// The whole state of crsio as one value, including the edited document, the stack of screens, and the popups above the top screen.
// update.ts computes the next state; pages/ and view/ show it. Invariants: the configuration reader always accepts the document, so that
// the user can save at any time. The initial content of a new file does not count as an unsaved change.

import type { FileFingerprint } from '@rsio/common/config/config-file';
import { type IniDocument, parseIni, printIni } from '@rsio/common/config/reader/ini-document';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { newRscltcfg } from '@rsio/common/config/rscltcfg-edit';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import type { AttachedMirrorView, AttachmentView, NamespaceView, StatsView, StatusView } from '@rsio/common/control/methods';
import type { MirrorSummary } from '@rsio/common/control/mirror-methods';
import type { FoundServer } from '@rsio/protocol/explorer/exploration';
import type { Finding } from '@rsio/protocol/explorer/finding';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import type { Examination, ProbeReport } from '@rsio/protocol/explorer/probe-report';
import type { Size } from '../widgets/canvas.ts';
import type { Command, ExploreRequest, FormPurpose } from './command.ts';
import { type Form, isTouched } from './form.ts';

export interface Failure {
  readonly code: string;
  readonly message: string;
}

/** The file as it was last read or written. */
export interface StoredFile {
  readonly text: string;
  /** Fingerprint of the file; null if the file does not exist. */
  readonly fingerprint: FileFingerprint | null;
}

/** rsiod's answers to requests that crsio sent together. */
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

export interface SearchedServer {
  readonly server: FoundServer;
  readonly examination: Examination;
}

export interface SearchScreen {
  readonly kind: 'search';
  readonly focus: number;
  readonly run: number;
  readonly namespace: string;
  /** The current step of the search; null once the search has ended. */
  readonly doing: string | null;
  /** Reports on the interface pairs tried so far; empty once the search has ended. */
  readonly reports: readonly ProbeReport[];
  /** One outcome for every interface of every server; empty until the search has ended. */
  readonly outcomes: readonly ServerOutcome[];
  readonly findings: readonly Finding[];
}

export interface ServerOutcome {
  readonly server: string;
  readonly address: string;
  /** Name of the new or existing section for this interface; null if the interface gets no section. */
  readonly section: string | null;
  readonly isNew: boolean;
  /** Results of the probes, or the reason why the interface was not probed. */
  readonly sentences: readonly string[];
}

export interface StatusScreen {
  readonly kind: 'status';
  readonly focus: number;
  readonly run: number;
  readonly before: Sample | null;
  readonly now: Sample | null;
  readonly failure: Failure | null;
}

/** What rsiod and, through it, the voters say of mirrors. */
export interface MirrorsSample {
  readonly mirrors: readonly MirrorSummary[];
  /** What could not be asked, so that mirrors may be missing. */
  readonly gaps: readonly string[];
  readonly attached: readonly AttachedMirrorView[];
  /** Names of the servers that rsiod knows, each once. */
  readonly servers: readonly string[];
}

export interface MirrorsScreen {
  readonly kind: 'mirrors';
  readonly focus: number;
  readonly run: number;
  readonly now: MirrorsSample | null;
  readonly failure: Failure | null;
}

export interface TestScreen {
  readonly kind: 'test';
  readonly focus: number;
  readonly run: number;
  /** The results as lines of text; null while the test is still running. */
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
  | MirrorsScreen
  | TestScreen
  | DifferenceScreen;

export type Screen = FormScreen | ListScreen;

/** `C`: the commands of the part of crsio that shows it. */
export interface Choice<C = Command> {
  readonly label: string;
  readonly command: C;
}

/** A popup, which covers part of the screen until the user answers or closes it. */
export interface Popup<C = Command> {
  readonly title: string;
  readonly text: string;
  readonly choices: readonly Choice<C>[];
  /** Index of the marked choice; if the popup has no choices, index of the first visible line. */
  readonly focus: number;
}

export interface State {
  readonly configFile: string;
  /** False if the user may not write the file; the document then cannot be changed. */
  readonly isWritable: boolean;
  readonly startCommand: string;
  /** True if there is a start page, from which the user also reaches the server. */
  readonly hasStart: boolean;
  readonly size: Size;
  readonly document: IniDocument;
  /** Text of the document as last read or saved; for a new file, the initial content. */
  readonly clean: string;
  readonly stored: StoredFile;
  readonly machine: readonly MachineInterface[];
  /** The stack of screens; the last one is shown. */
  readonly screens: readonly [Screen, ...Screen[]];
  readonly popups: readonly Popup[];
  /** Message about the last event; the next key press removes the message. */
  readonly note: string | null;
  /** Not null while the file is being written or rsiod is reloading it. */
  readonly saving: { readonly isLeaving: boolean } | null;
  /**
   * Addresses of the servers that the user chose to log in to, by namespaceid. A search for servers also asks the known addresses in its
   * namespace directly.
   */
  readonly knownAddresses: Readonly<Record<number, readonly string[]>>;
  /**
   * Number of the newest run. A run is an exploration, a search, a path test or a series of samples. Actions of a run are ignored if no
   * screen belongs to the run.
   */
  readonly runs: number;
}

export function topScreen(state: State): Screen {
  return state.screens.at(-1) ?? state.screens[0];
}

/** Replaces the top screen. */
export function withTop(state: State, screen: Screen): State {
  const [first, ...others] = state.screens;
  return { ...state, screens: others.length === 0 ? [screen] : [first, ...others.slice(0, -1), screen] };
}

export function pushScreen(state: State, screen: Screen): State {
  return { ...state, screens: [...state.screens, screen] };
}

/** Removes the top screen, but never the first one. */
export function popScreen(state: State): State {
  const [first, ...others] = state.screens;
  return { ...state, screens: [first, ...others.slice(0, -1)] };
}

export function pushPopup(state: State, popup: Popup): State {
  return { ...state, popups: [...state.popups, popup] };
}

/** A popup with a message. */
export function notice(title: string, text: string) {
  return { title, text, choices: [{ label: 'Close', command: { do: 'close-popup' } }], focus: 0 } as const;
}

export function configOf(state: State): RscltConfig {
  return parseRscltConfig(printIni(state.document), state.configFile);
}

/** True if the user would lose changes by leaving crsio now. */
export function isUnsaved(state: State): boolean {
  return printIni(state.document) !== state.clean || isFormTouched(state);
}

/** The form asks for something that does not go into the file. */
export function isOutsideFile({ kind }: FormPurpose): boolean {
  return kind === 'explore' || kind === 'mirror';
}

export function isFormTouched(state: State): boolean {
  return state.screens.some((screen) => screen.kind === 'form' && !isOutsideFile(screen.purpose) && isTouched(screen.form));
}

/**
 * Returns the initial state of a session; its only screen is the menu. The configuration reader must accept `stored`, unless the file does
 * not exist.
 */
export function startState(given: Pick<State, 'configFile' | 'isWritable' | 'startCommand' | 'hasStart' | 'stored' | 'size'>): State {
  const document = documentIn(given.stored);
  return {
    ...given,
    document,
    clean: printIni(document),
    machine: [],
    screens: [{ kind: 'menu', focus: 0 }],
    popups: given.isWritable ? [] : [readOnlyNotice(given.configFile)],
    note: null,
    saving: null,
    knownAddresses: {},
    runs: 0,
  };
}

/** Returns the popup that reports a read-only file. The popup appears at the start and at every attempt to change something. */
export function readOnlyNotice(file: string): Popup {
  return notice(
    'Read-only',
    `No permission to write ${file}, so nothing can be changed. Leave, and run crsio as root or as the owner of the file`,
  );
}

/** Returns the document to edit: the parsed file, or the initial content of a new file. */
export function documentIn({ text, fingerprint }: StoredFile): IniDocument {
  return fingerprint === null ? newRscltcfg() : parseIni(text);
}
