// The command of a method, which its entry has: rsadm and rsconfig make the command, its help and its completion of it
// (manage/volumes/derived.ts). Invariant: an entry says what a person types and reads, and never how a server is found or asked.

import type { Param, ParamsOf } from '@rsio/common/control/method-table';
import type { ValueType } from '@rsio/common/config/schema/value-types';
import type { VolumeName } from '../views/values.ts';

/** What the program knows when it reads the words of a person, and when it prints the answer. */
export interface CommandScene {
  readonly program: string;
  /** The volume that the person named; the name is '' if the command names none. */
  readonly volume: VolumeName;
  /** The first operand, as the person typed it. */
  readonly typed: string;
  /** Name of the snapshot in NAME@SNAPSHOT; '' if the command names none. */
  readonly snapshot: string;
  /** Text that follows the name of a pool, such as ` of server big-9`; '' if there is only one server. */
  readonly ofServer: string;
  /** Name of the server; null if the program knows only one server. */
  readonly server: string | null;
  readonly nowMs: number;
  /** Name of a volume of this server in texts, such as `oracle@0` or `osl:oracle@0`. */
  readonly label: (volume: VolumeName) => string;
}

type Params = Readonly<Record<string, Param>>;

/**
 * An operand or the value of an option: a parameter of the method, or another volume, which may be several parameters. Without `type`, the
 * parameter is a text.
 */
export type Field<P extends Params> = {
  /** Placeholder in the help, such as SIZE. */
  readonly value: string;
  /** What an option means. */
  readonly help?: string;
  /** What is missing without the option, such as `content`, for the error; absent if the option may be left out. */
  readonly needs?: string;
} & (
  | { readonly [K in keyof P & string]: { readonly param: K; readonly type?: ValueType<ParamsOf<P>[K & keyof ParamsOf<P>]> } }[keyof P &
      string]
  /** Throws E_USAGE. */
  | { readonly volume: (volume: VolumeName, scene: CommandScene) => Partial<ParamsOf<P>> }
);

/** What a command prints: one line or a block of text, and sentences for stderr. */
export interface Said {
  readonly line?: string;
  readonly block?: string;
  readonly notes?: readonly string[];
  /** Sentences for stderr that are also printed with --json. */
  readonly warnings?: readonly string[];
}

export interface MethodCommand<P extends Params, R> {
  /** The words of the command. Those that begin with `jobs` begin with the program's words about jobs. */
  readonly words: string;
  /** The first operand: NAME, NAME@SNAPSHOT or none. The parameters name, universe and snapshot, or volume, follow from it. */
  readonly about: 'volume' | 'snapshot' | 'server';
  /** How the help shows the first operand, such as NAME@N; absent: by `about`. */
  readonly first?: string;
  /** Why the volume is looked up (manage/volumes/door.ts); absent: `change`. */
  readonly purpose?: 'show' | 'change' | 'remove';
  /** The operands after the first one. */
  readonly operands?: readonly Field<P>[];
  /** The last operand may be left out. */
  readonly mayEnd?: boolean;
  /** Maps the name of an option to its value. */
  readonly options?: Readonly<Record<string, Field<P>>>;
  readonly summary: string;
  /** In lines of at most 80 columns; blank lines separate paragraphs. */
  readonly details?: string;
  /** A command that works, without the name of the program. */
  readonly example: string;
  /** `asked`: the parameters of the request. */
  readonly says: (answer: R, scene: CommandScene, asked: ParamsOf<P>) => Said | string;
}

/** A command as the table keeps it, without the types of its parameters and of its answer. */
export type StoredCommand = MethodCommand<Params, Readonly<Record<string, unknown>>>;
