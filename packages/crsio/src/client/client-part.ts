// Creates crsio's part for the client, which edits rscltcfg and shows the state of rsiod. The pages are in pages/. Invariants: a file that
// the configuration reader refuses is never edited; F10 asks before it discards changes.

import { existsSync } from 'node:fs';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import type { RsiodPaths } from '@rsio/common/config/root-paths';
import { startCommand } from '@rsio/common/control/start-daemon';
import { RsError } from '@rsio/base/lib/errors';
import { appStartCommand } from '@rsio/api/manage/applications';
import type { Leaving } from '../machine/machine.ts';
import type { StoredFile } from './model/ports.ts';
import { type ClientState, isUnsaved, startClientState } from './model/state.ts';
import { MENU_PAGE } from './pages/menu-page.ts';
import { mayWrite, systemPorts } from './system-ports.ts';
import { leave, saveAll } from './work/file.ts';

/** Returns the first state of the part. The first command of the session is `lookAtMachine`. */
export function clientPart(given: Omit<Parameters<typeof startClientState>[0], 'role'>, leaving: Leaving): ClientState {
  const role = {
    save: saveAll(false),
    leave,
    mayEnd: (state: ClientState) => !isUnsaved(state),
    isUnsaved,
    mark: (state: ClientState) => (isUnsaved(state) ? '* not saved ' : ''),
    keys: null,
    saveKey: () => 'Save',
    ...leaving,
  };
  return startClientState({ ...given, role }, MENU_PAGE);
}

export function clientOf(paths: RsiodPaths): Pick<ClientState, 'ports' | 'configFile' | 'isWritable' | 'startCommand' | 'appStart'> {
  const { configFile, root } = paths;
  const commands = { startCommand: commandText(root), appStart: appStartCommand(root === '' ? '' : ` --root ${root}`) };
  return { ports: systemPorts(paths), configFile, isWritable: mayWrite(configFile), ...commands };
}

/** Reads the file. Throws the errors of reading, and E_CONFIG with the first problem if the configuration reader refuses the file. */
export function readClientFile(paths: RsiodPaths): StoredFile {
  const stored = systemPorts(paths).readFile();
  if (stored.fingerprint === null) return stored;
  try {
    parseRscltConfig(stored.text, paths.configFile);
    return stored;
  } catch (thrown) {
    if (!(thrown instanceof RsError)) throw thrown;
    throw new RsError('E_CONFIG', `${thrown.message}; correct it with an editor, then run crsio again`, thrown.context);
  }
}

/** Returns the problems of a refused file except the first problem, which is the message of the error itself. */
export function furtherProblems(error: RsError): readonly { readonly line: number; readonly message: string }[] {
  const { problems } = error.context;
  return Array.isArray(problems) ? (problems as { line: number; message: string }[]).slice(1) : [];
}

function commandText(root: string): string {
  const { program, args } = startCommand(root, process.argv[1], existsSync);
  return [program.endsWith('/rsiod') ? 'rsiod' : program, ...args].join(' ');
}
