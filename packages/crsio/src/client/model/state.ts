// The state of crsio's part for the client: the edited document, the file as it was last read, and the results of the newest runs. Pure.
// Invariants: the configuration reader always accepts the document, so that the user can save at any time; the initial content of a new
// file does not count as an unsaved change.

import { type IniDocument, parseIni, printIni } from '@rsio/common/config/reader/ini-document';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { newRscltcfg } from '@rsio/common/config/rscltcfg-edit';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import type { ApplicationsView } from '@rsio/api/rsapp/app-methods';
import type { AttachmentView, NamespaceView, StatsView, StatusView } from '@rsio/api/rsiod/methods';
import type { AttachedMirrorView, MirrorSummary } from '@rsio/api/views/mirror-views';
import type { Progress } from '@rsio/api/views/views';
import type { FoundServer } from '@rsio/protocol/explorer/exploration';
import type { Finding } from '@rsio/protocol/explorer/finding';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import type { ProbeReport } from '@rsio/protocol/explorer/probe-report';
import {
  type Command,
  type Failure,
  firstState,
  hasTouchedForm,
  type ListPage,
  type Machine,
  report,
  type Step,
  step,
} from '../../machine/machine.ts';
import type { Choice, Content, Row } from '../../machine/rows.ts';
import type { ExploreRequest, Ports, StoredFile } from './ports.ts';

/** rsiod's answers to requests that crsio sent together. */
export interface Sample {
  readonly atMs: number;
  readonly status: StatusView;
  readonly stats: StatsView;
  readonly attachments: readonly AttachmentView[];
  readonly namespaces: readonly NamespaceView[];
  readonly progress: readonly Progress[];
}

/** rsiod's answers about mirrors. rsiod asks the voters for each answer. */
export interface MirrorsSample {
  readonly mirrors: readonly MirrorSummary[];
  /** A sentence for each server that could not be asked. Mirrors of these servers may be missing. */
  readonly gaps: readonly string[];
  readonly attached: readonly AttachedMirrorView[];
  /** Names of the servers that rsiod knows, without duplicates. */
  readonly servers: readonly string[];
}

/** rsapp's answer about the applications of this node. */
export interface ApplicationsSample extends ApplicationsView {
  readonly wallMs: number;
}

/**
 * An exploration, a search, a path test or a series of samples. Each run has a number, and results with the number of an older run are
 * dropped.
 */
interface Run {
  readonly run: number;
}

export interface Found extends Run {
  readonly isRunning: boolean;
  readonly request: ExploreRequest;
  readonly servers: readonly FoundServer[];
  readonly findings: readonly Finding[];
}

export interface Search extends Run {
  readonly namespace: string;
  /** The current step of the search; null once the search has ended. */
  readonly doing: string | null;
  /** Reports on the pairs of interfaces that the search has tried so far; empty once the search has ended. */
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

export interface ClientState extends Machine<ClientState> {
  readonly ports: Ports;
  readonly configFile: string;
  /** False if the user may not write the file; the document then cannot be changed. */
  readonly isWritable: boolean;
  readonly startCommand: string;
  /** The command that starts rsapp. */
  readonly appStart: string;
  readonly document: IniDocument;
  /** Text of the document as last read or saved; for a new file, the initial content. */
  readonly clean: string;
  readonly stored: StoredFile;
  readonly machine: readonly MachineInterface[];
  /** Not null while the file is being written or rsiod is reloading it. */
  readonly saving: { readonly isLeaving: boolean } | null;
  /**
   * Addresses of the servers that the user chose to log in to, by namespaceid. A search for servers also asks the known addresses in its
   * namespace directly.
   */
  readonly knownAddresses: Readonly<Record<number, readonly string[]>>;
  readonly runs: number;
  readonly found: Found;
  readonly search: Search;
  readonly status: Run & { readonly before: Sample | null; readonly now: Sample | null; readonly failure: Failure | null };
  readonly mirrors: Run & { readonly now: MirrorsSample | null; readonly failure: Failure | null };
  readonly applications: Run & { readonly now: ApplicationsSample | null; readonly failure: Failure | null };
  /** The results of a path test as lines of text; null while the test is running. */
  readonly test: Run & { readonly lines: readonly string[] | null };
}

export type ClientCommand = Command<ClientState>;
export type ClientStep = Step<ClientState>;
export type ClientPage = ListPage<ClientState>;
export type ClientContent = Content<ClientCommand>;
export type ClientRow = Row<ClientCommand>;
export type ClientChoice = Choice<ClientCommand>;

/** The parameters of an exploration of the subnets of this machine's interfaces. */
export const SUBNETS: ExploreRequest = { address: null, port: null, namespacekey: null };

/** The initial state. The configuration reader must accept `stored`, unless the file does not exist. */
export function startClientState(
  given: Pick<ClientState, 'role' | 'size' | 'hasStart' | 'ports' | 'configFile' | 'isWritable' | 'startCommand' | 'appStart' | 'stored'>,
  menu: ClientPage,
): ClientState {
  const document = documentIn(given.stored);
  const state: ClientState = {
    ...given,
    ...firstState(given, menu),
    document,
    clean: printIni(document),
    machine: [],
    saving: null,
    knownAddresses: {},
    runs: 0,
    found: { run: 0, isRunning: false, request: SUBNETS, servers: [], findings: [] },
    search: { run: 0, namespace: '', doing: null, reports: [], outcomes: [], findings: [] },
    status: { run: 0, before: null, now: null, failure: null },
    mirrors: { run: 0, now: null, failure: null },
    applications: { run: 0, now: null, failure: null },
    test: { run: 0, lines: null },
  };
  return given.isWritable ? state : reportReadOnly(state);
}

export function configOf(state: ClientState): RscltConfig {
  return parseRscltConfig(printIni(state.document), state.configFile);
}

/** True if the user would lose changes by leaving crsio now. */
export function isUnsaved(state: ClientState): boolean {
  return printIni(state.document) !== state.clean || hasTouchedForm(state);
}

/** Returns the document to edit: the parsed file, or the initial content if the file does not exist. */
export function documentIn({ text, fingerprint }: StoredFile): IniDocument {
  return fingerprint === null ? newRscltcfg() : parseIni(text);
}

/** Wraps a command that changes the document or the file. The returned command is refused if the user may not write the file. */
export function editing(command: ClientCommand): ClientCommand {
  return (state) => (state.isWritable ? command(state) : step(reportReadOnly(state)));
}

function reportReadOnly(state: ClientState): ClientState {
  const text = `No permission to write ${state.configFile}, so nothing can be changed. Leave, and run crsio as root or as the owner of the file`;
  return report(state, 'Read-only', text);
}
