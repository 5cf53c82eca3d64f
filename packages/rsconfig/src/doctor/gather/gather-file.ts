// What doctor knows of the configuration file: its bytes are read once, its rights looked at, and every problem kept, not only the first.
// Invariant: nothing here throws because of the file.

import { statSync } from 'node:fs';
import { parseIni } from '@rsio/common/config/ini/ini-document';
import { readConfigFile } from '@rsio/common/config/load-config';
import { examineRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { toRsError } from '@rsio/common/lib/errors';
import type { FileFacts } from '../facts/facts.ts';

type Problems = FileFacts['problems'];

export function gatherFile(path: string): FileFacts {
  const unread = { path, document: null, trouble: null, problems: [], warnings: [], config: null, ...rightsOf(path) };
  let text: string;
  try {
    ({ text } = readConfigFile(path));
  } catch (thrown) {
    const { code, message, context } = toRsError(thrown);
    const problems = problemsIn(context);
    return problems === null ? { ...unread, trouble: { code, message } } : { ...unread, problems };
  }
  const { config, problems, warnings } = examineRscltConfig(text, path);
  return { ...unread, document: parseIni(text), config, problems, warnings };
}

function rightsOf(path: string): Pick<FileFacts, 'mode' | 'modifiedMs'> {
  try {
    const { mode, mtimeMs } = statSync(path);
    return { mode: mode & 0o7777, modifiedMs: mtimeMs };
  } catch {
    return { mode: null, modifiedMs: null };
  }
}

/** The reader puts all problems into its error's context. */
function problemsIn({ problems }: Readonly<Record<string, unknown>>): Problems | null {
  return Array.isArray(problems) ? (problems as Problems) : null;
}
