// `-m test`: lets the daemon measure its paths, each on a connection of its own and one after the other, and shows what came out.
// The text is test-path-table.ts. Invariant: exit code 1 when a path that was asked for cannot be used.

import { isIP } from 'node:net';
import { CONTROL_METHODS } from '@rsio/common/control/methods';
import { defineCommand, JSON_OPTION, usageError } from '../../cli/command.ts';
import { type CommandContext, printJson } from '../../cli/command-context.ts';
import { formatProbes } from './test-path-table.ts';

export const TEST = defineCommand({
  call: { by: 'monitor', word: 'test' },
  synopsis: '-m test [PATH]',
  summary: 'measures paths',
  details: `Measures reachability, round trip, rate in each direction, packet size (MTU),
and the device through which the data actually leaves. Other I/O continues; the
measurement affects it like any other load. PATH is the name or address of a
local interface (if0), the address of a server interface (192.168.45.10), or
both (if0:192.168.45.10). Without PATH, all paths are measured.`,
  options: { json: JSON_OPTION },
  json: CONTROL_METHODS.probe.result,
  operands: { min: 0, max: 1 },
  completes: '"${ask[@]}" interface list | tail -n +2 | cut -d " " -f 1',
  run: (context, { json }, [path]) => testPaths(context, path ?? null, json),
});

/** The path a person names, as the daemon takes it. */
export interface PathName {
  /** Name of an interface of this machine. */
  readonly interface: string | null;
  /** Address of a server interface, or name of its section. */
  readonly remote: string | null;
}

/** Returns the exit code. */
async function testPaths(context: CommandContext, path: string | null, json: boolean): Promise<number> {
  const name = path === null ? { interface: null, remote: null } : await resolvePath(context, path);
  context.note('Measuring each path for about a second: waiting for rsiod');
  const result = await context.call('probe', name);
  if (json) printJson(context, result);
  else context.out(formatProbes(result.paths, result.leftOut));
  if (result.paths.length === 0) context.note(`No path to measure: see rsconfig -m status and ${context.configFile}`);
  return result.paths.length > 0 && result.paths.every(({ error }) => error === null) ? 0 : 1;
}

/** An address alone may be one of ours or a server's: the daemon's own list decides. */
async function resolvePath({ call }: CommandContext, text: string): Promise<PathName> {
  const name = parsePath(text);
  if (name.interface !== null || name.remote === null) return name;
  const { interfaces } = await call('status', {});
  const isOurs = interfaces.some(({ address }) => address === name.remote);
  return isOurs ? { interface: name.remote, remote: null } : name;
}

/** `if0`, `192.168.45.10`, `192.168.45.10/5000` as -m status shows it, `if0:192.168.45.10`. Throws E_USAGE. */
export function parsePath(text: string): PathName {
  const whole = addressOf(text);
  if (whole !== null) return { interface: null, remote: whole };
  const colon = text.indexOf(':');
  if (colon < 0 && text !== '') return { interface: text, remote: null };
  const [near, far] = [text.slice(0, colon), text.slice(colon + 1)];
  if (near === '' || far === '') throw usageError(`Wrong PATH ${text}: give if0, 192.168.45.10 or if0:192.168.45.10`);
  return { interface: near, remote: addressOf(far) ?? far };
}

function addressOf(text: string): string | null {
  const bare = /^\[?([^[\]/]*)\]?(?:\/\d+)?$/.exec(text)?.[1] ?? '';
  return isIP(bare) === 0 ? null : bare;
}
