// The program crsio: checks the terminal, finds out whether this machine is a server, a client or both, shows the parts, and always
// restores the terminal. main.ts starts the program. Invariant: nothing is printed while the screen is shown; messages are printed after
// the terminal has been restored.

import { existsSync } from 'node:fs';
import { isAppliance } from '@rsio/appliance/machine';
import { rsiodPaths, rssrvPaths } from '@rsio/common/config/root-paths';
import type { Invocation, ProgramSpec } from '@rsio/base/daemon/arguments';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { systemClock } from '@rsio/base/lib/clock';
import { clientOf, clientPart, furtherProblems, readClientFile } from './client/client-part.ts';
import { lookAtMachine } from './client/work/edits.ts';
import { appliancePart } from './appliance/appliance-part.ts';
import { systemAppliancePorts } from './appliance/system-ports.ts';
import { tick as lookAtAppliance } from './appliance/work/ordering.ts';
import { draw } from './machine/draw.ts';
import type { Command, Machine } from './machine/machine.ts';
import { Session } from './machine/session.ts';
import { serverOf, serverPart } from './server/server-part.ts';
import { tick } from './server/work/looking.ts';
import { type PartKind, Parts } from './start/parts.ts';
import { startState } from './start/start-page.ts';
import { Display } from './terminal/display.ts';
import { charsetOf, checkTerminal, isColoured } from './terminal/terminal-check.ts';
import { SIGNS } from './widgets/border.ts';

const OPTIONS = { ascii: { type: 'boolean' } } as const;

const HELP = `usage: crsio [--ascii] [--root DIR]

On a server (with /etc/dvsc/rssrvcfg): administers rssrv, its volumes, pools and
clients. On a client: edits /etc/rscltcfg, and finds namespaces and servers for
it. On a machine that is both, a start page offers both. On an appliance: its
network, time, password, disks and system. rsadm init makes this
machine a server, rsconfig join makes it a client.
All functions are on the keyboard; F1 shows help for the screen.

  --ascii           draw with plain ASCII characters in every locale
`;

export const crsioSpec: ProgramSpec<typeof OPTIONS> = { name: 'crsio', help: HELP, options: OPTIONS, takesPositionals: false };

const ENDING_SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT'] as const;

/** Resolves with the exit code when the user leaves. Throws E_TERMINAL, or an error from reading the client's file. */
export async function crsio({ values, root, note, report }: Invocation<typeof OPTIONS>): Promise<number> {
  const { stdin, stdout, env } = process;
  const terminal = checkTerminal({ isInputTerminal: stdin.isTTY === true, isOutputTerminal: stdout.isTTY === true, env });
  const [client, server] = [rsiodPaths(root), rssrvPaths(root)];
  // An appliance becomes a server in its own part.
  const hasAppliance = isAppliance(server.root);
  const isServer = hasAppliance || existsSync(server.configFile);
  const isClient = !isServer || existsSync(client.configFile);
  const hasStart = isServer && (isClient || hasAppliance);
  let leave: (code: number) => void = () => {};
  const left = new Promise<number>((resolve) => {
    leave = resolve;
  });
  // The file of a machine that is only a client is checked before the screen is shown.
  const stored = isServer ? null : noted(() => readClientFile(client), client.configFile, note);
  const charset = charsetOf(env, values.ascii === true);
  const signs = SIGNS[charset];
  const display = new Display(
    terminal,
    { charset, isColoured: isColoured(env) },
    {
      input: (input) => parts.dispatch(input),
      resized: (size) => parts.dispatch({ kind: 'resized', size }),
    },
  );
  const open = <S extends Machine<S>>(kind: PartKind, state: S, ...first: readonly Command<S>[]): Session<S> => {
    const session = new Session(state, systemClock, (now) => {
      if (parts.isShown(kind)) display.draw(draw(now, signs));
    });
    for (const command of first) session.dispatch(command);
    return session;
  };
  const place = () => ({ hasStart, size: display.size });
  const parts: Parts = new Parts(
    {
      server: () => open('server', serverPart({ ...serverOf(server), ...place() }, parts.leavingFrom('server')), tick),
      client: () => {
        const given = { ...clientOf(client), stored: stored ?? readClientFile(client), ...place() };
        return open('client', clientPart(given, parts.leavingFrom('client')), lookAtMachine);
      },
      appliance: () => {
        const given = { ports: systemAppliancePorts(server), ...place() };
        return open('appliance', appliancePart(given, parts.leavingFrom('appliance')), lookAtAppliance);
      },
      start: () => {
        const files = { server: server.configFile, ...(isClient ? { client: client.configFile } : {}) };
        return open('start', startState(display.size, { ...(hasAppliance ? { appliance: null } : {}), ...files }, parts));
      },
    },
    hasAppliance ? 'appliance' : hasStart ? 'start' : isServer ? 'server' : 'client',
    () => leave(0),
  );
  const finalMessages: (() => void)[] = [];
  const quit = (message: () => void): void => {
    // The terminal is restored first, so that a later error cannot leave the terminal unusable.
    display.close();
    finalMessages.push(message);
    leave(1);
  };
  const lost = (): string => (parts.isUnsaved ? ': changes were not saved' : '');
  for (const signal of ENDING_SIGNALS) process.on(signal, () => quit(() => note(`Ended by ${signal}${lost()}`)));
  process.on('uncaughtException', (error) => quit(() => reportBug(error, report)));
  stdin.on('end', () => quit(() => note(`The terminal was closed${lost()}`)));
  parts.begin();
  const code = await left;
  display.close();
  for (const print of finalMessages.slice(0, 1)) print();
  return code;
}

function reportBug(error: Error, report: (code: string, message: string) => void): void {
  const { code, message } = toRsError(error);
  report(code, `crsio failed: ${message}: ${(error.stack ?? '').split('\n').slice(1, 4).join(' ').trim()}`);
}

/** Prints the further problems of a refused file as notes. */
function noted<T>(read: () => T, file: string, note: (sentence: string) => void): T {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof RsError) for (const { line, message } of furtherProblems(thrown)) note(`${file}:${line}: ${message}`);
    throw thrown;
  }
}
