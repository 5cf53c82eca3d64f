// The command of a method of rssrv, which rsadm and rsconfig make of its entry (manage/volumes/derived.ts).

import type { Answer, CommandText, Params, Scene } from '../views/command-text.ts';
import type { VolumeName } from '../views/values.ts';

/** The scene of a command that asks a server. */
export interface CommandScene extends Scene {
  /** The volume that the person named; the name is '' if the command names none. */
  readonly volume: VolumeName;
  /** Name of the snapshot in NAME@SNAPSHOT; '' if the command names none. */
  readonly snapshot: string;
  /** Text that follows the name of a pool, such as ` of server big-9`; '' if there is only one server. */
  readonly ofServer: string;
  /** Name of the server; null if the program knows only one server. */
  readonly server: string | null;
  /** Name of a volume of this server in texts, such as `oracle@0` or `osl:oracle@0`. */
  readonly label: (volume: VolumeName) => string;
}

export interface MethodCommand<P extends Params, R> extends CommandText<P, R, CommandScene> {
  /** The first operand: NAME, NAME@SNAPSHOT or none. The parameters name, universe and snapshot, or volume, follow from it. */
  readonly about: 'volume' | 'snapshot' | 'server';
  /** Why the volume is looked up (manage/volumes/door.ts); absent: `change`. */
  readonly purpose?: 'show' | 'change' | 'remove';
  /** The program that alone has the command; absent: rsadm and rsconfig have it. Words that begin with `jobs` begin with the program's own. */
  readonly only?: 'rsadm';
}

/** A command as the table keeps it, without the types of its parameters and of its answer. */
export type StoredCommand = MethodCommand<Params, Answer>;
