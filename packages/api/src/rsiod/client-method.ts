// One entry of the tables of rsiod and rsapp. The entry says everything about a method except how the daemon executes it, and has its command
// in rsconfig (rsconfig/src/commands/client-commands.ts).

import { CONTROL_ANSWER_MS } from '@rsio/common/control/limits';
import type { ControlMethod } from '@rsio/common/control/method-table';
import type { Fields, ObjectShape, ValuesOf } from '@rsio/base/lib/shape';
import type { Answer, CommandText, NoCommand, Params, Scene } from '../views/command-text.ts';

export interface ClientCommand<P extends Params, R> extends CommandText<P, R, Scene> {
  /** The first operand: the NAME of a mirror, with the option --namespace, or none. */
  readonly about: 'mirror' | 'machine';
}

/** A command as the table keeps it, without the types of its parameters and of its answer. */
export type StoredClientCommand = ClientCommand<Params, Answer>;

/**
 * `reads`: the method changes nothing, and its answer has no keys. `operates`: it changes what the machine uses, such as attached volumes.
 * `administers`: it also changes the configuration in force or ends the daemon, or it may give up data of a whole mirror. rsweb derives
 * from it which tokens may call the method.
 */
type Effect = 'reads' | 'operates' | 'administers';

export interface ClientMethod<P extends Params = Params, F extends Fields = Fields> extends ControlMethod<P, ValuesOf<F>> {
  readonly result: ObjectShape<F>;
  readonly effect: Effect;
  readonly command: StoredClientCommand | NoCommand;
}

export function clientMethod<const P extends Params, const F extends Fields>(entry: {
  readonly help: string;
  readonly effect: Effect;
  readonly params: P;
  readonly result: ObjectShape<F>;
  readonly waitMs?: number;
  readonly command: ClientCommand<P, ValuesOf<F>> | NoCommand;
}): ClientMethod<P, F> {
  const { command, ...method } = entry;
  return { waitMs: CONTROL_ANSWER_MS, ...method, command: command as unknown as StoredClientCommand | NoCommand };
}
