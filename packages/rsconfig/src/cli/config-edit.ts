// Reads, edits and saves the client's configuration file on behalf of the commands. If another program saves the file during the edit,
// rsconfig repeats the edit on the new content. After saving, rsconfig reports the errors that the file already contained before the edit.
// If the file has no errors and --reload is given, rsconfig makes rsiod reload the file. Without --reload, rsconfig reports that rsiod
// still uses its old configuration. The edits are made by rscltcfg-edit.ts; config-file.ts reads and writes the file.

import { sleep } from '@rsio/base/lib/waiting';
import { openConfigFile, saveConfigFile, type SavedConfig } from '@rsio/common/config/config-file';
import type { IniDocument } from '@rsio/common/config/reader/ini-document';
import { type KeyValues, newRscltcfg } from '@rsio/common/config/rscltcfg-edit';
import { RsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import type { OptionSpec } from '@rsio/common/cli/command';
import type { CommandContext } from './context.ts';
import { CONFIG_RETRIES, CONFIG_RETRY_MS } from '../limits.ts';

export const RELOAD_OPTION = { kind: 'flag', help: 'make a running rsiod apply the change at once' } as const satisfies OptionSpec;

/**
 * Edits and saves the file; if the file is missing or empty, a [defaults] section is added first. Prints the text in `done` after saving.
 * If `isReload` is true and a running daemon cannot reload the file, the function throws the daemon's error. If rsiod does not use the
 * changed section, `isReload` is null.
 */
export async function changeConfig(
  context: CommandContext,
  edit: (document: IniDocument) => IniDocument,
  done: string,
  isReload: boolean | null,
): Promise<void> {
  const { configFile } = context;
  const { kept } = await savedEdit(context, edit);
  context.out(`${done}\n`);
  for (const { line, message } of kept) context.note(`${configFile}${line === 0 ? '' : `:${line}`}: ${message}`);
  if (kept.length > 0)
    context.note(`${configFile} already had these errors: rsiod cannot load it until they are corrected, see rsconfig check`);
  else if (isReload !== null) await tellOfDaemon(context, isReload);
}

/**
 * Converts configuration keys to the format that the functions of rscltcfg-edit.ts expect. A key whose value is null was not given on the
 * command line.
 */
export function givenKeys(values: Readonly<Record<string, string | null>>): KeyValues {
  return Object.fromEntries(Object.entries(values).flatMap(([key, value]) => (value === null ? [] : [[key, value]])));
}

/** Makes the daemon reload its file; prints a line for each change that the daemon has applied. */
export async function reloadDaemon(context: CommandContext): Promise<void> {
  const { applied } = await context.call('reload', {});
  for (const sentence of applied) context.out(`${escapeControls(sentence)}\n`);
  if (applied.length === 0) context.note(`rsiod already uses this ${context.configFile}: nothing has changed`);
}

async function tellOfDaemon(context: CommandContext, isReload: boolean): Promise<void> {
  try {
    if (isReload) return await reloadDaemon(context);
    await context.call('daemon', {});
    context.note('rsiod still uses its old configuration: rsconfig reload applies the change');
  } catch (thrown) {
    if (!(thrown instanceof RsError)) throw thrown;
    if (thrown.code !== 'E_NOT_RUNNING' && isReload) throw thrown;
    if (thrown.code !== 'E_NOT_RUNNING') context.note(thrown.message);
    else if (isReload) context.note('rsiod is not running: it reads the file when it starts');
  }
}

async function savedEdit(context: CommandContext, edit: (document: IniDocument) => IniDocument): Promise<SavedConfig> {
  const { configFile, clock } = context;
  for (let tries = 0; ; tries++) {
    const { document, fingerprint } = openConfigFile(configFile);
    const changed = edit(document.lines.length === 0 ? newRscltcfg() : document);
    try {
      return saveConfigFile(configFile, changed, fingerprint);
    } catch (thrown) {
      if (!(thrown instanceof RsError) || thrown.code !== 'E_CHANGED' || tries === CONFIG_RETRIES) throw thrown;
      await sleep(clock, CONFIG_RETRY_MS);
    }
  }
}
