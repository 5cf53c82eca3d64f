// Makes the commands of rsconfig from the entries of rsiod and rsapp (api/src/rsiod/client-method.ts). Invariant: a request with an id is
// repeated, with the same id, if rsiod ends meanwhile.

import { derivedFrom, firstColumnOf, ownCommand, type Answered, type Typed } from '@rsio/api/manage/derived';
import { APP_METHODS, type AppMethods } from '@rsio/api/rsapp/app-methods';
import type { ClientMethod, StoredClientCommand } from '@rsio/api/rsiod/client-method';
import { CONTROL_METHODS, type ControlMethodName } from '@rsio/api/rsiod/methods';
import type { Answer, Scene } from '@rsio/api/views/command-text';
import type { OptionSpec } from '@rsio/common/cli/command';
import { assert } from '@rsio/base/lib/assert';
import { namedVolume } from './server-volumes/find.ts';
import { insistently } from './server-volumes/servers.ts';
import { type CommandContext, type ConfigCommand, usageError } from '../cli/context.ts';

type Given = Readonly<Record<string, unknown>>;
type Call = (context: CommandContext, params: Given) => Promise<Answer>;

export const NAMESPACE = { kind: 'text', value: 'N', help: 'use only servers of namespace N' } as const satisfies OptionSpec;

/** Shell command that lists the names of mirrors for completion. */
export const MIRROR_NAMES = `${firstColumnOf('mirror list')} | sed 's/^[^:]*://'`;

/** The command of rsconfig that follows from the entry of a method of rsiod. */
export function rsiodCommand(name: ControlMethodName): ConfigCommand {
  return commandOf(CONTROL_METHODS[name], name, ({ call }, params) => call(name, params as never));
}

/** The command of rsconfig that follows from the entry of a method of rsapp. */
export function rsappCommand(name: keyof AppMethods): ConfigCommand {
  return commandOf(APP_METHODS[name], name, ({ callApp }, params) => callApp(name, params as never));
}

function commandOf(method: ClientMethod, name: string, call: Call): ConfigCommand {
  const command = ownCommand<StoredClientCommand>(method.command);
  assert(command !== null, `The entry of ${name} has no command`);
  const { about, first, completes, words } = command;
  const isMirror = about === 'mirror';
  return derivedFrom<CommandContext, Scene>('rsconfig', method, command, {
    words,
    first: first ?? (isMirror ? 'NAME' : null),
    completes: completes === undefined ? (isMirror ? MIRROR_NAMES : undefined) : firstColumnOf(completes),
    options: isMirror ? { namespace: NAMESPACE } : {},
    place: {},
    ask: (context, typed) => execute(method, isMirror, call, context, typed),
  });
}

async function execute(
  { params: taken }: ClientMethod,
  isMirror: boolean,
  call: Call,
  context: CommandContext,
  { name, params, values }: Typed<Scene>,
): Promise<Answered<Scene>> {
  const { namespace = null } = values as { readonly namespace?: string | null };
  const asked = { ...(isMirror ? namedVolume(name, given('--namespace', namespace)) : {}), ...params };
  const isChange = Object.hasOwn(taken, 'request');
  const request = isChange ? { request: context.newId() } : {};
  const { configFile, clock } = context;
  const scene: Scene = { program: 'rsconfig', configFile, typed: name, nowMs: clock.wallMs() };
  return { scene, asked, place: {}, answer: await insistently(context, isChange, () => call(context, { ...asked, ...request })) };
}

/** Returns the value of an option; null if the option is not given. Throws E_USAGE if the value is empty. */
export function given(option: string, value: string | null): string | null {
  if (value === '') throw usageError(`${option} has an empty name: give a name`);
  return value;
}
