// The "door" through which a volume command uses its program: rsadm calls the rssrv of its machine; rsconfig first chooses a server.
// Invariant: the commands of both programs differ only in their doors.

import { type Output, usageError } from '@rsio/common/cli/command';
import type { WaitingPorts } from '@rsio/common/cli/waiting-ports';
import type { ServerCall } from '../../rssrv/call-server.ts';
import type { Fields } from '@rsio/base/lib/shape';
import type { Clock } from '@rsio/base/lib/clock';
import type { VolumeName } from '../../views/values.ts';

/** A volume that a person named, and the server that answers requests about it. */
export interface VolumeTarget {
  readonly volume: VolumeName;
  readonly call: ServerCall;
  /** Text that follows the name of a pool, such as ` of server big-9`; '' if there is only one server. */
  readonly ofServer: string;
  /** Name of the server; null if the program knows only one server. */
  readonly server: string | null;
  /** Fields about the server for the JSON output, with the shape `VolumeProgram.place`. */
  readonly place: Readonly<Record<string, string>>;
  /** Name of a volume of this server in texts, such as `oracle@0` or `osl:oracle@0`. */
  readonly label: (volume: VolumeName) => string;
  /** Parses the name of another volume of this server. Throws E_USAGE. */
  readonly parse: (text: string) => VolumeName;
}

/**
 * Reason for which a command looks up a volume. For `change` and `remove`, the door accepts a volume only if all servers have answered,
 * because the name could otherwise mean a volume of another server. For `show`, the door prints a note if a server has not answered.
 */
export type Purpose = 'show' | 'change' | 'remove';

/** Requirements for the server of a new volume. */
export interface Wanted {
  /** Pools of the volume; empty for any pool. */
  readonly pools: readonly string[];
}

export interface VolumeDoor extends Output {
  readonly clock: Pick<Clock, 'wallMs' | 'monotonicMs' | 'after'>;
  /** Asks the person at the terminal, and returns the answer; null if stdin is not a terminal. */
  readonly ask: ((question: string) => Promise<string>) | null;
  /** Returns an id for a request that changes something. */
  readonly newId: () => string;
  readonly note: (sentence: string) => void;
  readonly waiting: WaitingPorts;
  readonly configFile: string;
  /** Finds the server that has the volume. Throws E_USAGE. With several servers, also throws E_UNKNOWN_VOLUME or E_AMBIGUOUS. */
  find(name: string, purpose: Purpose): Promise<VolumeTarget>;
  /** The only server that the program knows; null if the name of a volume decides which of several servers is used. */
  readonly local: Pick<VolumeTarget, 'call' | 'label' | 'place'> | null;
  /** Finds the server that has the removed volume. */
  findRemoved(name: string): Promise<VolumeTarget>;
  /** Returns the servers on which the new volume may be created, the best server first. The list has at least one server. */
  choose(name: string, wanted: Wanted): Promise<readonly [VolumeTarget, ...VolumeTarget[]]>;
}

export interface VolumeProgram {
  readonly program: string;
  /** Fields that the program adds to each JSON answer of the server. */
  readonly place: Fields;
  /** Shell command that prints the names of the volumes for completion. */
  readonly completesVolumes: string;
  readonly completesRemoved: string;
  /** Words of the commands about jobs, such as `jobs`. */
  readonly jobs: string;
}

/**
 * Returns the first target. Throws E_USAGE unless all volumes are on the server of the first target. `what` names the request in the error,
 * such as `snapshots of one moment`.
 */
export function sameServer(targets: readonly VolumeTarget[], what: string, program: string): VolumeTarget {
  const [target] = targets;
  if (target === undefined) throw usageError('No volume: give NAME', program);
  const other = targets.find(({ place }) => JSON.stringify(place) !== JSON.stringify(target.place));
  if (other === undefined) return target;
  throw usageError(
    `${target.label(target.volume)} is on server ${target.server ?? '-'} and ${other.label(other.volume)} on ${other.server ?? '-'}: ` +
      `${what} are of one server; give a command for each server, and for each mirror`,
    program,
  );
}

/** Orders whose lists rsconfig progress shows for all servers at once. */
const IN_PROGRESS: readonly string[] = ['job-list', 'replication-list'];

/** Throws E_USAGE if there are several servers, because each server has its own jobs and replications. */
export async function onlyServer(door: VolumeDoor, program: string, method: string): Promise<VolumeTarget> {
  const [target, ...others] = await door.choose('jobs', { pools: [] });
  if (others.length === 0) return target;
  const all = IN_PROGRESS.includes(method) ? '; rsconfig progress asks all of them' : '';
  throw usageError(`There are several servers: name one with --server${all}`, program);
}
