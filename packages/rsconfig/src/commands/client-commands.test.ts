// Tests that run over all entries of rsiod and rsapp with a command: the example of the entry reaches the method with parameters that it
// takes, the text and the JSON are printed, wrong operands are refused, and bash completes the words. Thus a new entry needs no test of its
// own for this.

import { sample } from '@rsio/api/testing/sample';
import { ownCommand } from '@rsio/api/manage/derived';
import { APP_METHODS, type AppMethods } from '@rsio/api/rsapp/app-methods';
import type { ClientMethod, StoredClientCommand } from '@rsio/api/rsiod/client-method';
import { CONTROL_METHODS, type ControlMethodName } from '@rsio/api/rsiod/methods';
import { bashCompletion } from '@rsio/common/cli/completion-script';
import { shownCall } from '@rsio/common/cli/command';
import { checkedParams } from '@rsio/common/control/control-server';
import { RsError } from '@rsio/base/lib/errors';
import { misfit } from '@rsio/base/lib/shape';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { parseArgs } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { CommandContext, ConfigCommand } from '../cli/context.ts';
import { COMMAND_LINE } from '../command-table.ts';
import { rsappCommand, rsiodCommand } from './client-commands.ts';

type Case = readonly [words: string, name: string, method: ClientMethod, command: ConfigCommand, example: readonly string[]];

function casesOf(table: Readonly<Record<string, ClientMethod>>, make: (name: string) => ConfigCommand): Case[] {
  return Object.entries(table).flatMap(([name, method]) => {
    const command = ownCommand<StoredClientCommand>(method.command);
    return command === null ? [] : [[command.words, name, method, make(name), command.example.split(' ')] as const];
  });
}

const CASES = [
  ...casesOf(CONTROL_METHODS, (name) => rsiodCommand(name as ControlMethodName)),
  ...casesOf(APP_METHODS, (name) => rsappCommand(name as keyof AppMethods)),
];

/** Runs a command line with daemons that answer with samples. */
async function run(method: ClientMethod, argv: readonly string[]) {
  const [asked, notes]: [[string, object][], string[]] = [[], []];
  let out = '';
  const call = (called: string, params: object): Promise<unknown> => {
    asked.push([called, params]);
    return Promise.resolve(sample(method.result));
  };
  const { values, positionals } = parseArgs({ args: [...argv], options: COMMAND_LINE.options, allowPositionals: true });
  const { command, words } = COMMAND_LINE.commandOf(values, positionals);
  const context = {
    clock: new FakeClock(),
    call,
    callApp: call,
    newId: () => 'the id of the request',
    configFile: '/etc/x',
    out: (more: string) => (out += more),
    note: (sentence: string) => notes.push(sentence),
  };
  await command.run(context as unknown as CommandContext, values, words);
  return { asked, out, notes };
}

test('there are commands that follow from entries', () => {
  expect(CASES.length).toBeGreaterThan(5);
});

describe.each(CASES)('%s', (words, name, method, command, example) => {
  test('the example sends a request that the method takes', async () => {
    const { asked, out, notes } = await run(method, example);
    expect(asked.map(([called]) => called)).toEqual([name]);
    const params = asked[0]![1];
    expect(() => checkedParams(name, method.params, params)).not.toThrow();
    expect(Object.hasOwn(params, 'request')).toBe(Object.hasOwn(method.params, 'request'));
    expect(out.trim().length + notes.join('').length).toBeGreaterThan(0);
    expect(out + notes.join('')).not.toMatch(/undefined|\[object/);
  });

  test('the JSON is the answer, exactly as declared', async () => {
    const { out } = await run(method, [...example, '--json']);
    expect(command.json && misfit(command.json, JSON.parse(out), 'exactly')).toBeNull();
  });

  test('a missing and a further operand are refused, and bash knows the words and options', async () => {
    expect(shownCall(command.call)).toBe(words);
    const { min = 0, max = 0 } = command.operands ?? {};
    const typed = words.split(' ');
    if (min > 0) await expect(run(method, typed)).rejects.toThrow(RsError);
    await expect(run(method, [...typed, ...Array<string>(max + 1).fill('x')])).rejects.toThrow(RsError);
    const script = bashCompletion('rsconfig', '/etc/x', [command]);
    for (const word of [...typed, ...Object.keys(command.options).map((option) => `--${option}`)]) expect(script).toContain(word);
  });
});
