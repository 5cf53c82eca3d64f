// The command of a method, which its entry has: the programs make the command, its help and its completion of it (manage/derived.ts).
// Invariant: an entry says what a person types and reads, and never how a daemon is found or asked.

import type { Param, ParamsOf } from '@rsio/common/control/method-table';
import type { ValueType } from '@rsio/common/config/schema/value-types';
import type { VolumeName } from './values.ts';

/** What the program knows when it reads the words of a person, and when it prints the answer. */
export interface Scene {
  readonly program: string;
  readonly configFile: string;
  /** The first operand, as the person typed it. */
  readonly typed: string;
  readonly nowMs: number;
}

export type Params = Readonly<Record<string, Param>>;
type Name<P extends Params> = keyof P & string;

/** An option without a value, which makes the parameter true. */
export interface Flag<P extends Params> {
  readonly flag: { readonly [K in Name<P>]: P[K] extends Param<boolean> ? K : never }[Name<P>];
  readonly help: string;
}

/**
 * An operand or the value of an option: a parameter of the method, or another volume, which may be several parameters. Without `type`, the
 * parameter is a text.
 */
export type Field<P extends Params, S extends Scene> = {
  /** Placeholder in the help, such as SIZE. */
  readonly value: string;
  /** What an option means. */
  readonly help?: string;
  /** What is missing without the option, such as `content`, for the error; absent if the option may be left out. */
  readonly needs?: string;
} & (
  | { readonly [K in Name<P>]: { readonly param: K; readonly type?: ValueType<ParamsOf<P>[K & keyof ParamsOf<P>]> } }[Name<P>]
  /** Throws E_USAGE. */
  | { readonly volume: (volume: VolumeName, scene: S) => Partial<ParamsOf<P>> }
);

/** What a command prints: lines, a block of text, and sentences for stderr. */
export interface Said {
  readonly lines?: readonly string[];
  readonly block?: string;
  readonly notes?: readonly string[];
  /** Sentences for stderr that are also printed with --json. */
  readonly warnings?: readonly string[];
  /** The exit code, also with --json; absent: 0. */
  readonly code?: 1;
}

/** The parts of a command that do not depend on the daemon that it asks. */
export interface CommandText<P extends Params, R, S extends Scene> {
  readonly words: string;
  /** How the help shows the first operand, such as NAME@N; absent: by `about`. */
  readonly first?: string;
  /** The command whose first column completes the first operand, such as `client list`; absent: by `about`. */
  readonly completes?: string;
  /** The operands after the first one. */
  readonly operands?: readonly Field<P, S>[];
  /** The last operand may be left out. */
  readonly mayEnd?: boolean;
  /** Maps the name of an option to its value. */
  readonly options?: Readonly<Record<string, Field<P, S> | Flag<P>>>;
  readonly summary: string;
  /** In lines of at most 80 columns; blank lines separate paragraphs. */
  readonly details?: string;
  /** A command that works, without the name of the program. */
  readonly example: string;
  /** `asked`: the parameters of the request. */
  readonly says: (answer: R, scene: S, asked: ParamsOf<P>) => Said | string;
}

/** Why a method has no command that follows from its entry. */
export type NoCommand =
  /** Words of the command that calls the method, and what it does beyond one call. */
  | { readonly byHand: string; readonly because: string }
  /** Words of a command, a part of which is the method. */
  | { readonly partOf: string }
  /** The program that calls the method for itself: it has no meaning for a person. */
  | { readonly calledBy: string };

export type Answer = Readonly<Record<string, unknown>>;
/** A command as a table keeps it, without the types of its parameters and of its answer. */
export type StoredText<S extends Scene = Scene> = CommandText<Params, Answer, S>;
