// The command line of rsconfig: options, help and which command they mean. Nothing is asked of the daemon here.
// Invariant: a combination that has no meaning is refused, never half understood.

import type { Invocation } from '@rsio/protocol/lib/arguments';
import { RsError } from '@rsio/protocol/lib/errors';

export const OPTIONS = {
  query: { type: 'boolean', short: 'q' },
  local: { type: 'boolean', short: 'l' },
  attach: { type: 'boolean', short: 'a' },
  detach: { type: 'boolean', short: 'd' },
  monitor: { type: 'string', short: 'm' },
  verbose: { type: 'boolean', short: 'v', multiple: true },
  'read-only': { type: 'boolean' },
  server: { type: 'string' },
  force: { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

export const HELP = `usage: rsconfig [-l[v[v]]]                     volumes attached here
       rsconfig -q[v[v[v]]]                   what namespaces and servers offer
       rsconfig -a [NAME...] [--read-only] [--server S]
       rsconfig -d [NAME...] [--force]
       rsconfig -m status [-v]                interfaces and paths
       rsconfig -m stats                      counters, rates, latencies
       rsconfig events                        the last changes of state
Asks and steers rsiod. NAME is oracle, osl:oracle or osl:oracle@0; without one,
-a and -d mean all volumes.
  -l, --local       -lv: block device; -lvv: raw device, size, servers
  -q, --query       -qv: addresses, state; -qvv: ids, limits, holders;
                    -qvvv: paths
  -a, --attach      make volumes local devices
  --read-only       with -a: only read; several clients may do so at a time
  --server S        with -a: the volume of server S, when NAME means several
  -d, --detach      take the devices away
  --force           with -d: also when they are in use
  -m, --monitor X   status or stats
  -v, --verbose     more, with -l, -q and -m status
  --json            print what rsiod said, for programs
`;

export type Command =
  | { readonly name: 'local' | 'query' | 'status'; readonly json: boolean; readonly verbosity: number }
  | { readonly name: 'stats' | 'events'; readonly json: boolean }
  | {
      readonly name: 'attach';
      readonly json: boolean;
      readonly names: readonly string[];
      readonly readOnly: boolean;
      readonly server: string | null;
    }
  | { readonly name: 'detach'; readonly json: boolean; readonly names: readonly string[]; readonly force: boolean };

type Values = Invocation<typeof OPTIONS>['values'];
type CommandName = Command['name'];

/** Options that belong to some commands only. */
const BELONGS: readonly {
  readonly option: keyof Values;
  readonly shown: string;
  readonly to: readonly CommandName[];
  readonly words: string;
}[] = [
  { option: 'verbose', shown: '-v', to: ['local', 'query', 'status'], words: '-l, -q and -m status' },
  { option: 'read-only', shown: '--read-only', to: ['attach'], words: '-a' },
  { option: 'server', shown: '--server', to: ['attach'], words: '-a' },
  { option: 'force', shown: '--force', to: ['detach'], words: '-d' },
];

/** Throws E_USAGE. */
export function commandOf(values: Values, positionals: readonly string[]): Command {
  const modes = modesOf(values);
  const [mode, second] = modes;
  if (mode !== undefined && second !== undefined) throw usage(`${mode.shown} and ${second.shown} exclude each other: give one`);
  const words = [...positionals];
  const name = mode === undefined ? wordCommand(words) : mode.name;
  for (const { option, shown, to, words: allowed } of BELONGS) {
    if (values[option] !== undefined && !to.includes(name)) throw usage(`${shown} goes with ${allowed} only`);
  }
  const [word] = words;
  if (word !== undefined && name !== 'attach' && name !== 'detach') throw usage(`Unexpected word ${word}: names go with -a and -d`);
  if (words.includes('')) throw usage('A name is empty: give oracle, osl:oracle or osl:oracle@0');
  return commandNamed(name, values, words);
}

function commandNamed(name: CommandName, values: Values, names: readonly string[]): Command {
  const json = values.json ?? false;
  switch (name) {
    case 'attach':
      if (values.server === '') throw usage('--server is empty: give the name of a server');
      return { name, json, names, readOnly: values['read-only'] ?? false, server: values.server ?? null };
    case 'detach':
      return { name, json, names, force: values.force ?? false };
    case 'stats':
    case 'events':
      return { name, json };
    default:
      return { name, json, verbosity: values.verbose?.length ?? 0 };
  }
}

interface Mode {
  readonly name: CommandName;
  readonly shown: string;
}

function modesOf(values: Values): Mode[] {
  const modes: Mode[] = [];
  if (values.query === true) modes.push({ name: 'query', shown: '-q' });
  if (values.local === true) modes.push({ name: 'local', shown: '-l' });
  if (values.attach === true) modes.push({ name: 'attach', shown: '-a' });
  if (values.detach === true) modes.push({ name: 'detach', shown: '-d' });
  if (values.monitor !== undefined) modes.push({ name: monitorOf(values.monitor), shown: '-m' });
  return modes;
}

function monitorOf(what: string): 'status' | 'stats' {
  if (what === 'status' || what === 'stats') return what;
  throw usage(`Unknown -m ${what}: give status or stats`);
}

/** The command that the first word names; takes it off the words. */
function wordCommand(words: string[]): CommandName {
  const word = words.shift();
  if (word === undefined) return 'local';
  if (word === 'events') return word;
  throw usage(`Unknown command ${word}: to attach a volume of that name say rsconfig -a ${word}`);
}

function usage(sentence: string): RsError {
  return new RsError('E_USAGE', `${sentence}, see rsconfig --help`);
}
