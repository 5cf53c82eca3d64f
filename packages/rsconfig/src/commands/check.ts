// Implements `check`: reports every fault and warning in the client's configuration file, with line numbers. The command examines only the
// file; `doctor` examines the machine and the servers.

import { readConfigFile, withSecrets } from '@rsio/common/config/load-config';
import { type ConfigProblem, problemTexts } from '@rsio/common/config/reader/findings';
import { examineRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { triggerProblems } from '@rsio/common/config/trigger-programs';
import type { ClientGateConfig, ConfigWarning } from '@rsio/common/config/schema/types';
import { toRsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { defineCommand } from '../cli/context.ts';
import { CHECK_SHAPE } from '../cli/json-shapes.ts';

/** The findings in the secret-file of a gate name the file in their texts. */
function examineSecrets(gate: ClientGateConfig): {
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigWarning[];
} {
  try {
    return { problems: [], warnings: withSecrets(gate).warnings };
  } catch (thrown) {
    return { problems: problemTexts(toRsError(thrown)).map((message) => ({ line: 0, message })), warnings: [] };
  }
}

export const CHECK = defineCommand({
  call: { by: 'words', words: 'check' },
  synopsis: 'check [FILE]',
  summary: 'checks a configuration file for faults',
  details: `Prints each fault and each warning with its line number. The exit code is 1 if
there is a fault. Without FILE, the command checks the file that rsiod reads. To
check the machine and the servers too, use rsconfig doctor.`,
  options: { json: JSON_OPTION },
  json: CHECK_SHAPE,
  operands: { min: 0, max: 1 },
  completes: 'files',
  run: async (context, { json }, [file = context.configFile]) => {
    const { text, warnings: ofRights } = readConfigFile(file);
    const { config, problems: ofFile, warnings: ofText } = examineRscltConfig(text, file);
    const secrets = (config?.gates ?? []).map(examineSecrets);
    const problems = [...ofFile, ...triggerProblems(config?.triggers ?? []), ...secrets.flatMap((one) => one.problems)];
    const warnings = [...ofRights, ...ofText, ...secrets.flatMap((one) => one.warnings)].map(({ line, message }) => ({ line, message }));
    const exitCode = problems.length === 0 ? 0 : 1;
    if (json) return printJson(context, { file, problems, warnings }) ?? exitCode;
    const findings = [
      ...problems.map((finding) => ({ ...finding, severity: 'fault' })),
      ...warnings.map((finding) => ({ ...finding, severity: 'warning' })),
    ].toSorted((left, right) => left.line - right.line);
    for (const { line, message, severity } of findings) {
      context.out(escapeControls(`${file}${line === 0 ? '' : `:${line}`}: ${severity}: ${message}`).concat('\n'));
    }
    if (findings.length === 0) context.out(escapeControls(`${file}: no faults`).concat('\n'));
    return exitCode;
  },
});
