// The state of crsio's part for the server: the last answers of rssrv, the file, and the changes in progress. Pure. Invariants: changes
// take effect at once, so a user who leaves crsio loses at most the entries of an open form. While rssrv does not answer, the screen shows
// the last answers with their age.

import type { RssrvConfig } from '@rsio/common/config/schema/types';
import type {
  ClientView,
  InterfaceView,
  JobView,
  ManagedVolumeView,
  PoolView,
  RemovedVolumeView,
  ReplicationView,
  SharedPoolView,
  SnapshotView,
} from '@rsio/api/views/views';
import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import { type VolumeName, volumeName } from '@rsio/api/views/values';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { type Command, type Failure, firstState, type ListPage, type Machine } from '../../machine/machine.ts';
import type { Choice, Content, Row } from '../../machine/rows.ts';
import type { ServerPorts } from './ports.ts';

/** rssrv's answers to requests that crsio sent together. */
export interface ServerView {
  readonly daemon: ServerMethods['daemon']['result'];
  readonly pools: readonly PoolView[];
  /** The pools on shared disks, which are also in `pools`. */
  readonly sharedPools: readonly SharedPoolView[];
  readonly volumes: readonly ManagedVolumeView[];
  readonly removed: readonly RemovedVolumeView[];
  readonly clients: readonly ClientView[];
  readonly interfaces: readonly InterfaceView[];
  readonly jobs: readonly JobView[];
  readonly replications: readonly ReplicationView[];
  /** The snapshots of the volume whose list is open; null if no list is open. */
  readonly snapshots: { readonly of: VolumeName; readonly list: readonly SnapshotView[]; readonly failure: Failure | null } | null;
}

/** The current configuration in the file, or the reason why the file cannot be read. */
export type FileView = { readonly config: RssrvConfig } | { readonly failure: Failure };

/** A change of the server, which `make` executes. The change refers to objects by name, never by position on the screen. */
export interface Order {
  /** The text that crsio shows while rssrv makes the change, for example `Creating volume db@0`. */
  readonly doing: string;
  /** Makes the change. Throws the errors of rssrv and the errors of reading or writing the file. */
  make(ports: ServerPorts): Promise<Outcome>;
  /** Id of the page of the object that the change removes; not set if the change removes no object. */
  readonly removes?: string;
  /** Called when the form of the change has closed; returns the new state. Without this function, the state does not change. */
  readonly follow?: (state: ServerState) => ServerState;
}

/**
 * The outcome of a change: a sentence, or a sentence together with a text that the user must see, such as a new key, or an answer that
 * `show` shows.
 */
export type Outcome =
  | string
  | { readonly sentence: string; readonly title: string; readonly text: string }
  | { readonly show: (state: ServerState) => ServerState };

/** A change that rssrv has not answered yet. */
export interface Pending {
  readonly order: Order;
  /** The owner of the form that requested the change; null if no form requested the change. */
  readonly owner: object | null;
  readonly sinceMs: number;
}

export interface ServerState extends Machine<ServerState> {
  readonly ports: ServerPorts;
  readonly configFile: string;
  readonly startCommand: string;
  /** Monotonic time of the last tick. */
  readonly nowMs: number;
  readonly wallMs: number;
  readonly file: FileView | null;
  readonly machine: readonly MachineInterface[];
  readonly view: ServerView | null;
  /** Monotonic time at which `view` was complete. */
  readonly viewMs: number;
  /** The reason why rssrv did not answer the last look; null if rssrv answered. */
  readonly failure: Failure | null;
  /** Monotonic time at which the look in progress began; null if no look is in progress. */
  readonly askingSinceMs: number | null;
  readonly nextLookMs: number;
  /** True if crsio has changed something since the look in progress began. */
  readonly isStale: boolean;
  readonly pending: readonly Pending[];
}

export type ServerCommand = Command<ServerState>;
export type ServerPage = ListPage<ServerState>;
export type ServerContent = Content<ServerCommand>;
export type ServerRow = Row<ServerCommand>;
export type ServerChoice = Choice<ServerCommand>;

export function startServerState(
  given: Pick<ServerState, 'role' | 'size' | 'hasStart' | 'ports' | 'configFile' | 'startCommand'>,
  menu: ServerPage,
): ServerState {
  const { clock } = given.ports;
  return {
    ...given,
    ...firstState(given, menu),
    nowMs: clock.monotonicMs(),
    wallMs: clock.wallMs(),
    file: null,
    machine: [],
    view: null,
    viewMs: 0,
    failure: null,
    askingSinceMs: null,
    nextLookMs: clock.monotonicMs(),
    isStale: false,
    pending: [],
  };
}

export function idOf(kind: 'volume' | 'pool' | 'client' | 'work' | 'replication' | 'snapshots', name: string): string {
  return `${kind} ${name}`;
}

/** Returns the volume whose snapshots are on a page; null if no such page is open. */
export function snapshotsShown({ pages }: ServerState): VolumeName | null {
  const names = pages.flatMap((page) => (page.kind === 'list' ? (/^snapshots (\S+)/.exec(page.id)?.[1] ?? []) : []));
  const [name] = names;
  return name === undefined ? null : volumeName(name, 'crsio');
}

/** Returns the configuration; null if the file cannot be read or has errors. */
export function configIn(state: ServerState): RssrvConfig | null {
  return state.file !== null && 'config' in state.file ? state.file.config : null;
}

export function volumeIn({ view }: ServerState, { name, universe }: VolumeName): ManagedVolumeView | null {
  return view?.volumes.find((volume) => volume.name === name && volume.universe === universe) ?? null;
}

export function isSame(a: VolumeName, b: VolumeName): boolean {
  return a.name === b.name && a.universe === b.universe;
}
