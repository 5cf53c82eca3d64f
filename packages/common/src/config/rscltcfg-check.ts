// Whether an edited client's file may be saved. A person may mend a broken file step by step, so problems that were there before do not
// stand in the way; but no edit may add one. Pure.

import type { ConfigProblem } from './reader/findings.ts';
import { type IniDocument, printIni } from './ini/ini-document.ts';
import { examineRscltConfig } from './reader/rscltcfg.ts';
import type { ConfigWarning } from './schema/types.ts';

export interface EditFindings {
  /** What the edit made wrong: it may not be saved. */
  readonly added: readonly ConfigProblem[];
  /** What was wrong before and still is. Until it is mended, no daemon takes the file. */
  readonly kept: readonly ConfigProblem[];
  readonly warnings: readonly ConfigWarning[];
}

/** Judges `after`, lines being those of it; `file` is only the name used in messages. */
export function checkEdit(before: IniDocument, after: IniDocument, file: string): EditFindings {
  const { problems, warnings } = examineRscltConfig(printIni(after), file);
  const known = new Map<string, number>();
  for (const problem of examineRscltConfig(printIni(before), file).problems) {
    known.set(identityOf(problem), (known.get(identityOf(problem)) ?? 0) + 1);
  }
  const added: ConfigProblem[] = [];
  const kept: ConfigProblem[] = [];
  for (const problem of problems) {
    const left = known.get(identityOf(problem)) ?? 0;
    known.set(identityOf(problem), left - 1);
    (left > 0 ? kept : added).push(problem);
  }
  return { added, kept, warnings };
}

/** The same problem has the same text, but edits move lines, and "9 interfaces" becomes "10 interfaces". */
function identityOf({ message }: ConfigProblem): string {
  return message.replace(/\bline \d+/g, 'line').replace(/^\d+ /, '');
}
