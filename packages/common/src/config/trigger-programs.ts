// Checks whether the programs that the triggers of a configuration name are safe. The parser cannot check the programs, because it reads
// only the configuration file. Invariant: a reload refuses a configuration with an unsafe program. A program that becomes unsafe later is
// not started.

import { unsafeProgram } from '@rsio/base/files/safe-program';
import { type ConfigProblem, throwProblems } from './reader/findings.ts';
import type { TriggerConfig } from './schema/types.ts';

/** Returns the problems, each at its line. */
export function triggerProblems(triggers: readonly TriggerConfig[]): ConfigProblem[] {
  return triggers.flatMap(({ run, line }) => {
    const why = unsafeProgram(run);
    return why === null ? [] : [{ line, message: `trigger program ${run} ${why}` }];
  });
}

/** Returns the configuration. Throws E_CONFIG if a program of a trigger is not safe. */
export function withSafeTriggers<T extends { readonly file: string; readonly triggers: readonly TriggerConfig[] }>(config: T): T {
  throwProblems(config.file, triggerProblems(config.triggers));
  return config;
}
