// -a and -d: the daemon attaches and detaches, here each outcome becomes a line.
// Invariant: one failure hides no other outcome, and makes exit code 1.

import type { AttachOutcome } from '@rsio/protocol/control/methods';
import { defineCommand, JSON_OPTION, usageError } from '../command.ts';
import { formatOutcome } from '../format.ts';
import { type CommandContext, printJson } from './command-context.ts';

const ANY_NUMBER = { min: 0, max: Number.POSITIVE_INFINITY } as const;

export const ATTACH = defineCommand({
  call: { by: 'option', option: 'attach', short: 'a', help: 'make volumes local devices' },
  synopsis: '-a [NAME...] [--read-only] [--server S]',
  summary: 'makes volumes local devices',
  options: {
    'read-only': { kind: 'flag', help: 'with -a: only read; several clients may do so at a time' },
    server: { kind: 'text', value: 'S', help: 'with -a: the volume of server S, when NAME means several' },
    json: JSON_OPTION,
  },
  operands: ANY_NUMBER,
  completes: `"\${ask[@]}" -q | awk '$1 ~ /^[0-3]$/ && $3 == "disk" { print $2 }'`,
  run: async (context, { 'read-only': readOnly, server, json }, names) => {
    if (server === '') throw usageError('--server is empty: give the name of a server');
    checkNames(names);
    const result = await context.call('attach', { names, readOnly, server });
    if (json) printJson(context, result);
    if (result.outcomes.length === 0) context.note('No volume is offered to this client: see rsconfig -q');
    return printOutcomes(context, result.outcomes, json ? null : 'attached');
  },
});

export const DETACH = defineCommand({
  call: { by: 'option', option: 'detach', short: 'd', help: 'take the devices away' },
  synopsis: '-d [NAME...] [--force]',
  summary: 'takes the devices away',
  options: { force: { kind: 'flag', help: 'with -d: also when they are in use' }, json: JSON_OPTION },
  operands: ANY_NUMBER,
  completes: `"\${ask[@]}" -l | sed 's/^[^:]*://; s/@.*//'`,
  run: async (context, { force, json }, names) => {
    checkNames(names);
    const result = await context.call('detach', { names, force });
    if (json) printJson(context, result);
    if (result.outcomes.length === 0) context.note('No volume is attached: see rsconfig -l');
    return printOutcomes(context, result.outcomes, json ? null : 'detached');
  },
});

function checkNames(names: readonly string[]): void {
  if (names.includes('')) throw usageError('A name is empty: give oracle, osl:oracle or osl:oracle@0');
}

/** Returns the exit code: 1 when one of the volumes was refused. */
function printOutcomes(context: CommandContext, outcomes: readonly AttachOutcome[], done: 'attached' | 'detached' | null): number {
  for (const outcome of outcomes) {
    if (outcome.done) {
      if (done !== null) context.out(formatOutcome(outcome, done));
    } else {
      const { code, message } = outcome.error ?? { code: 'E_INTERNAL', message: 'rsiod refused without saying why: look at its log' };
      context.report(code, `${outcome.volume}: ${message}`);
    }
  }
  return outcomes.every((outcome) => outcome.done) ? 0 : 1;
}
