// Compares every output of a command with --json with the shape that the command declares (cli/json-shapes.ts, control/). The hosts of all
// tests pass what commands print through this check, so that no test needs one of its own. Invariant: an output that lacks a declared field,
// or has one more, fails the test that made it.

import { parseArgs } from 'node:util';
import { misfit } from '@rsio/base/lib/shape';
import { COMMAND_LINE as RSADM } from '@rsio/rsadm/command-table';
import { COMMAND_LINE as RSCONFIG } from '@rsio/rsconfig/command-table';
import type { RunResult } from './programs.ts';

const COMMAND_LINES = { rsconfig: RSCONFIG, rsadm: RSADM };

/** Throws if stdout is not what the command declares. `args`: without the name of the program. Nothing is checked of other programs. */
export function checkJson(program: string, args: readonly string[], { stdout, timedOut }: RunResult): void {
  if (!args.includes('--json') || stdout === '' || timedOut || !isCommands(program)) return;
  const { options, json } = commandOf(program, args);
  if (!Object.hasOwn(options, 'json')) return;
  const said = `${program} ${args.join(' ')}`;
  if (json === undefined) throw new Error(`${said}: the command declares no shape`);
  // `watch` prints a document on each line.
  const documents = args[0] === 'watch' ? stdout.trimEnd().split('\n') : [stdout];
  for (const document of documents) {
    const trouble = misfit(json, JSON.parse(document), 'exactly');
    if (trouble !== null) throw new Error(`${said} prints what it does not declare: ${trouble}\n${document}`);
  }
}

function isCommands(program: string): program is keyof typeof COMMAND_LINES {
  return Object.hasOwn(COMMAND_LINES, program);
}

function commandOf(
  program: keyof typeof COMMAND_LINES,
  args: readonly string[],
): Pick<(typeof RSCONFIG)['commands'][number], 'options' | 'json'> {
  const line = COMMAND_LINES[program];
  const { values, positionals } = parseArgs({ args: [...args], options: line.options, allowPositionals: true, strict: false });
  return line.commandOf(values, positionals).command;
}
