// The client's part of crsio: edits rscltcfg, and shows rsiod. Reads the file and checks it before anything is shown. The server's part is in
// server-part.ts. Invariant: a file that the configuration reader refuses is never edited.

import { existsSync } from 'node:fs';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import type { RsiodPaths } from '@rsio/common/config/root-paths';
import { startCommand } from '@rsio/common/control/start-daemon';
import { RsError } from '@rsio/common/lib/errors';
import { runEffect } from './effects.ts';
import { isUnsaved, startState, type State, type StoredFile } from './model/state.ts';
import type { Action, Effect } from './model/step.ts';
import { Session } from './session.ts';
import type { Part, Parts } from './start/parts.ts';
import { mayWrite, systemPorts } from './system-ports.ts';
import type { Display } from './terminal/display.ts';
import { update } from './update/update.ts';
import { drawState } from './view/client-view.ts';
import type { Signs } from './widgets/border.ts';

/** The file, accepted by the configuration reader. Throws E_CONFIG and the errors of reading. */
export function readClientFile(paths: RsiodPaths): StoredFile {
  const stored = systemPorts(paths, { showStart: () => {}, end: () => {} }).readFile();
  checkFile(stored, paths.configFile);
  return stored;
}

/** The problems of a refused file, except the first one, which is the error itself. */
export function furtherProblems(error: RsError): readonly { readonly line: number; readonly message: string }[] {
  const { problems } = error.context;
  return Array.isArray(problems) ? (problems as { line: number; message: string }[]).slice(1) : [];
}

export function clientPart(paths: RsiodPaths, stored: StoredFile, parts: Parts, display: Display, signs: Signs): Part {
  const ports = systemPorts(paths, { showStart: () => parts.show('start'), end: () => parts.leaveFrom('client') });
  const session = new Session<State, Action, Effect>(
    startState({
      configFile: paths.configFile,
      isWritable: mayWrite(paths.configFile),
      startCommand: commandText(paths.root),
      hasStart: parts.hasStart,
      stored,
      size: display.size,
    }),
    {
      clock: ports.clock,
      update,
      draw: (state) => {
        if (parts.isShown('client')) display.draw(drawState(state, signs));
      },
      run: (effect, dispatch) => runEffect(effect, ports, dispatch),
    },
  );
  session.start({ kind: 'look-at-machine' });
  return {
    dispatch: (action) => session.dispatch(action),
    redraw: () => session.redraw(),
    isUnsaved: () => isUnsaved(session.state),
  };
}

/** Throws if the configuration reader refuses the file. The error is the first problem. */
function checkFile({ text, fingerprint }: StoredFile, file: string): void {
  if (fingerprint === null) return;
  try {
    parseRscltConfig(text, file);
  } catch (thrown) {
    if (!(thrown instanceof RsError)) throw thrown;
    throw new RsError('E_CONFIG', `${thrown.message}; correct it with an editor, then run crsio again`, thrown.context);
  }
}

function commandText(root: string): string {
  const { program, args } = startCommand(root, process.argv[1], existsSync);
  return [program.endsWith('/rsiod') ? 'rsiod' : program, ...args].join(' ');
}
