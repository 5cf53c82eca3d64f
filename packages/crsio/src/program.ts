// The program crsio: checks the terminal, reads the file, runs a session, and always restores the terminal. main.ts starts the program.
// Invariant: nothing is printed while the screen is shown; messages are printed after the terminal has been restored.

import { existsSync } from 'node:fs';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { rsiodPaths } from '@rsio/common/config/root-paths';
import { startCommand } from '@rsio/common/control/start-daemon';
import type { Invocation, ProgramSpec } from '@rsio/common/daemon/arguments';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import { runEffect } from './effects.ts';
import { isUnsaved, startState, type StoredFile } from './model/state.ts';
import { Session } from './session.ts';
import { mayWrite, systemPorts } from './system-ports.ts';
import { Display } from './terminal/display.ts';
import { charsetOf, checkTerminal, isColoured } from './terminal/terminal-check.ts';
import { drawState } from './view/frame.ts';
import { SIGNS } from './widgets/border.ts';

const OPTIONS = { ascii: { type: 'boolean' } } as const;

const HELP = `usage: crsio [--ascii] [--root DIR]

Edits /etc/rscltcfg in a terminal and finds namespaces and servers for it.
All functions are on the keyboard; F1 shows help for the screen.

  --ascii           draw with plain ASCII characters in every locale
`;

export const crsioSpec: ProgramSpec<typeof OPTIONS> = { name: 'crsio', help: HELP, options: OPTIONS, takesPositionals: false };

const ENDING_SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT'] as const;

/** Resolves with the exit code when the user leaves. Throws E_TERMINAL, or an error from reading the file. */
export async function crsio({ values, root, note, report }: Invocation<typeof OPTIONS>): Promise<number> {
  const { stdin, stdout, env } = process;
  const terminal = checkTerminal({ isInputTerminal: stdin.isTTY === true, isOutputTerminal: stdout.isTTY === true, env });
  const paths = rsiodPaths(root);
  let leave: (code: number) => void = () => {};
  const left = new Promise<number>((resolve) => {
    leave = resolve;
  });
  const ports = systemPorts(paths, () => leave(0));
  const stored = ports.readFile();
  checkFile(stored, paths.configFile, note);
  const charset = charsetOf(env, values.ascii === true);
  const display = new Display(
    terminal,
    { charset, isColoured: isColoured(env) },
    {
      input: (input) => session.dispatch(input),
      resized: (size) => session.dispatch({ kind: 'resized', size }),
    },
  );
  const session: Session = new Session(
    startState({
      configFile: paths.configFile,
      isWritable: mayWrite(paths.configFile),
      startCommand: commandText(paths.root),
      stored,
      size: display.size,
    }),
    {
      clock: ports.clock,
      draw: (state) => display.draw(drawState(state, SIGNS[charset])),
      run: (effect, dispatch) => runEffect(effect, ports, dispatch),
    },
  );
  const finalMessages: (() => void)[] = [];
  const quit = (message: () => void): void => {
    // Restore the terminal first, so that a later error cannot leave it unusable.
    display.close();
    finalMessages.push(message);
    leave(1);
  };
  const lost = (): string => (isUnsaved(session.state) ? ': changes were not saved' : '');
  for (const signal of ENDING_SIGNALS) process.on(signal, () => quit(() => note(`Ended by ${signal}${lost()}`)));
  process.on('uncaughtException', (error) => quit(() => reportBug(error, report)));
  stdin.on('end', () => quit(() => note(`The terminal was closed${lost()}`)));
  session.start({ kind: 'look-at-machine' });
  const code = await left;
  display.close();
  for (const print of finalMessages.slice(0, 1)) print();
  return code;
}

function reportBug(error: Error, report: (code: string, message: string) => void): void {
  const { code, message } = toRsError(error);
  report(code, `crsio failed: ${message}: ${(error.stack ?? '').split('\n').slice(1, 4).join(' ').trim()}`);
}

/** Throws if the configuration reader refuses the file. The error is the first problem; the other problems are printed as notes. */
function checkFile({ text, fingerprint }: StoredFile, file: string, note: (sentence: string) => void): void {
  if (fingerprint === null) return;
  try {
    parseRscltConfig(text, file);
  } catch (thrown) {
    if (!(thrown instanceof RsError)) throw thrown;
    const problems = Array.isArray(thrown.context['problems']) ? (thrown.context['problems'] as { line: number; message: string }[]) : [];
    for (const { line, message } of problems.slice(1)) note(`${file}:${line}: ${message}`);
    throw new RsError('E_CONFIG', `${thrown.message}; correct it with an editor, then run crsio again`, thrown.context);
  }
}

function commandText(root: string): string {
  const { program, args } = startCommand(root, process.argv[1], existsSync);
  return [program.endsWith('/rsiod') ? 'rsiod' : program, ...args].join(' ');
}
