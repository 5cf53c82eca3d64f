// Edits rssrvcfg and makes rssrv reload it. rssrv checks the new text before the file changes, so that the file never gets a text that
// rssrv refuses, even after a crash. Invariant: if the reload fails nevertheless, the old file is restored. If rssrv is not running, it
// reads the new file at its next start.

import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { checkEdit, openConfigFile, saveConfigFile } from '@rsio/common/config/config-file';
import { type IniDocument, printIni } from '@rsio/common/config/reader/ini-document';
import { examineRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import type { ServerMethods } from '../rssrv/server-methods.ts';
import { CONTROL_LINE_MAX_BYTES } from '@rsio/common/control/limits';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';

export interface ServerFileContext {
  readonly configFile: string;
  /** Sends a request to rssrv: to check a text, or to reload the file. */
  readonly call: <M extends 'config-check' | 'reload'>(
    method: M,
    params: ServerMethods[M]['params'],
  ) => Promise<ServerMethods[M]['result']>;
  readonly out: (text: string) => void;
  readonly note: (sentence: string) => void;
}

type Edit = (document: IniDocument) => IniDocument;
type Opened = ReturnType<typeof openConfigFile>;

/** Checks an edit without saving it. Throws the errors that `changeServerFile` finds before it calls rssrv. */
export function checkServerFile({ configFile }: Pick<ServerFileContext, 'configFile'>, edit: Edit): void {
  edited(configFile, openMended(configFile), edit);
}

/**
 * Edits the file: lets rssrv check the new text, saves the text, and makes rssrv reload the file. Passes a sentence for each change to
 * `tell`. Returns false if rssrv is not running. Throws the errors of the edit and of saving. If rssrv refuses the text, throws the
 * refusal, and the file keeps or regains its old content.
 */
export async function changeServerFile(context: ServerFileContext, edit: Edit, tell = toOutput(context)): Promise<boolean> {
  const { configFile, note } = context;
  checkMayEdit(configFile);
  const before = openMended(configFile);
  const after = edited(configFile, before, edit);
  await examineByServer(context, printIni(after));
  const { fingerprint } = saveConfigFile(configFile, after, before.fingerprint, undefined, examineRssrvConfig);
  try {
    const { applied } = await context.call('reload', {});
    for (const sentence of applied) tell(sentence);
    if (applied.length === 0) note('rssrv works as before: the change has no effect');
    return true;
  } catch (thrown) {
    const refusal = toRsError(thrown);
    if (refusal.code === 'E_NOT_RUNNING') {
      note('rssrv is not running: it reads the file when it starts');
      return false;
    }
    restore(configFile, before, fingerprint, refusal);
    // rssrv did not refuse the file, and may have begun to use it.
    if (refusal.code === 'E_TIMEOUT' || refusal.code === 'E_RESET')
      note(`${configFile} is as it was before: when rssrv answers again, rsadm reload makes it use the file`);
    throw refusal;
  }
}

/** Throws E_RIGHTS if this user cannot replace the file. What rssrv permits the members of a group is another matter. */
function checkMayEdit(configFile: string): void {
  try {
    accessSync(configFile, constants.R_OK);
    accessSync(dirname(configFile), constants.W_OK);
  } catch (thrown) {
    if (!['EACCES', 'EPERM'].includes(errnoName(thrown) ?? '')) return;
    const who = 'run as root, or as a user who may read this file and write in its folder';
    throw new RsError(
      'E_RIGHTS',
      `No permission to edit ${configFile}, which no group of rssrvcfg(5) permits: ${who}`,
      { configFile },
      thrown,
    );
  }
}

/** Returns the edited document. Throws E_CONFIG if the edit adds a problem. */
function edited(configFile: string, { document }: Opened, edit: Edit): IniDocument {
  const after = edit(document);
  const [first] = checkEdit(document, after, configFile, examineRssrvConfig).added;
  if (first !== undefined) throw new RsError('E_CONFIG', `${configFile} was not changed: ${first.message}`, { file: configFile });
  return after;
}

/** Throws the refusal if rssrv refuses the text. A server that is not running refuses nothing. */
async function examineByServer(context: ServerFileContext, text: string): Promise<void> {
  // If the text is too long for a request, only the reload checks it.
  if (Buffer.byteLength(JSON.stringify(text)) > CONTROL_LINE_MAX_BYTES / 2) return;
  try {
    await context.call('config-check', { text });
  } catch (thrown) {
    const refusal = toRsError(thrown);
    if (refusal.code !== 'E_NOT_RUNNING') throw refusal;
  }
}

function toOutput({ out }: ServerFileContext): (sentence: string) => void {
  return (sentence) => out(`${escapeControls(sentence)}\n`);
}

/**
 * Opens the file. Throws E_NO_CONFIG. Throws E_CONFIG if the file already has a problem, because rssrv could not reload the edited file.
 */
function openMended(configFile: string): Opened {
  const opened = openConfigFile(configFile);
  if (opened.fingerprint === null)
    throw new RsError('E_NO_CONFIG', `No configuration file ${configFile}: rsadm init makes one`, { path: configFile });
  const [broken] = examineRssrvConfig(printIni(opened.document), configFile).problems;
  if (broken === undefined) return opened;
  throw new RsError('E_CONFIG', `${configFile}:${broken.line}: ${broken.message}`, { file: configFile, problems: [broken] });
}

function restore(configFile: string, { document }: Opened, changed: Opened['fingerprint'], refusal: RsError): void {
  try {
    saveConfigFile(configFile, document, changed, undefined, examineRssrvConfig);
  } catch (thrown) {
    const { message } = toRsError(thrown);
    throw new RsError(
      refusal.code,
      `${refusal.message}; the change stays in ${configFile}, which cannot be put back (${message})`,
      {},
      thrown,
    );
  }
}
