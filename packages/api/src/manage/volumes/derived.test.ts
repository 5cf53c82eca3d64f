// Tests that run over all entries of the table with a command, for rsadm and for rsconfig: the example of the entry reaches the method with
// parameters that it takes, the text and the JSON are printed, and bash completes the words. Thus a new entry needs no test of its own for
// this. The tests of the programs (command-table.test.ts) say that each entry with a command is in the tables of the programs.

import { bashCompletion } from '@rsio/common/cli/completion-script';
import { type Command, shownCall } from '@rsio/common/cli/command';
import { CommandLine } from '@rsio/common/cli/command-line';
import { checkedParams } from '@rsio/common/control/control-server';
import { RsError } from '@rsio/base/lib/errors';
import { misfit, text } from '@rsio/base/lib/shape';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { parseArgs } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { ServerMethod } from '../../rssrv/server-method.ts';
import { SERVER_METHODS, type ServerMethodName } from '../../rssrv/server-methods.ts';
import { sample } from '../../testing/sample.ts';
import { volumeText } from '../../views/server-tables.ts';
import { volumeName } from '../../views/values.ts';
import { ownCommand } from '../derived.ts';
import { derivedCommand } from './derived.ts';
import type { VolumeDoor, VolumeProgram, VolumeTarget } from './door.ts';

const completes = { completesVolumes: 'echo oracle', completesRemoved: 'echo old' };
const PROGRAMS: readonly VolumeProgram[] = [
  { program: 'rsadm', place: {}, jobs: 'jobs', ...completes },
  { program: 'rsconfig', place: { namespace: text(), server: text() }, jobs: 'volume jobs', ...completes },
];
const METHODS = Object.keys(SERVER_METHODS) as ServerMethodName[];
const ENTRIES = METHODS.flatMap((method) => {
  const command = ownCommand(entryOf(method).command);
  return command === null ? [] : [{ method, command }];
});
const CASES = PROGRAMS.flatMap((program) =>
  ENTRIES.filter(({ command: { only } }) => only === undefined || only === program.program).map(
    ({ method, command }) => [program.program, method, program, command.example.replace(/^jobs/, program.jobs).split(' ')] as const,
  ),
);
const REQUEST = 'the id of the request';

function entryOf(method: ServerMethodName): ServerMethod {
  return SERVER_METHODS[method];
}

interface Ran {
  readonly asked: readonly (readonly [method: string, params: object])[];
  readonly out: string;
  readonly notes: readonly string[];
}

/** Runs a command line with a server that answers with samples. */
async function run(given: VolumeProgram, argv: readonly string[]): Promise<Ran> {
  const [asked, notes]: [[string, object][], string[]] = [[], []];
  let out = '';
  const parse: VolumeTarget['parse'] = (name) => volumeName(name, given.program);
  const call = (method: ServerMethodName, params: object): Promise<unknown> => {
    asked.push([method, params]);
    return Promise.resolve(sample(entryOf(method).result));
  };
  const place = Object.fromEntries(Object.keys(given.place).map((key) => [key, 'x']));
  const at = { call: call as VolumeTarget['call'], ofServer: '', server: null, place, label: volumeText, parse };
  const find = (name: string): Promise<VolumeTarget> => Promise.resolve({ volume: parse(name), ...at });
  const door: VolumeDoor = {
    clock: new FakeClock(),
    ask: null,
    waiting: { progress: null, onStop: () => () => undefined },
    newId: () => REQUEST,
    out: (more) => (out += more),
    note: (sentence) => notes.push(sentence),
    configFile: '/etc/x',
    local: null,
    find,
    findRemoved: find,
    choose: async (name) => [await find(name)],
  };
  const commands = ENTRIES.map(({ method }) => derivedCommand(given, method)!);
  const line = new CommandLine<VolumeDoor>(tableOf(given, commands));
  const { values, positionals } = parseArgs({ args: [...argv], options: line.options, allowPositionals: true });
  const { command, words } = line.commandOf(values, positionals);
  await command.run(door, values, words);
  return { asked, out, notes };
}

function tableOf({ program }: VolumeProgram, commands: readonly Command<VolumeDoor>[]) {
  return {
    program,
    groups: [['Volumes', commands]] as const,
    introduction: [],
    guides: {},
    first: commands[0]!,
    strayOperand: '',
    unknownWord: () => '',
  };
}

test('there are commands that follow from entries', () => {
  expect(ENTRIES.length).toBeGreaterThan(30);
});

describe.each(CASES)('%s, %s', (_, method, program, example) => {
  test('the example sends a request that the method takes', async () => {
    const { asked, out, notes } = await run(program, example);
    expect(asked.map(([called]) => called)).toEqual([method]);
    const params = asked[0]![1];
    const { params: taken, repeats } = entryOf(method);
    expect(() => checkedParams(method, taken, params)).not.toThrow();
    expect(Object.hasOwn(params, 'request')).toBe(repeats === 'journal');
    expect(out.trim().length + notes.join('').length).toBeGreaterThan(0);
    expect(out + notes.join('')).not.toMatch(/undefined|\[object/);
  });

  test('the JSON is the place and the answer, exactly as declared', async () => {
    const { out } = await run(program, [...example, '--json']);
    const command = derivedCommand(program, method);
    expect(command?.json && misfit(command.json, JSON.parse(out), 'exactly')).toBeNull();
  });

  test('a missing and a further operand are refused, and bash knows the words and options', async () => {
    const command = derivedCommand(program, method)!;
    const words = shownCall(command.call).split(' ');
    const { min = 0, max = 0 } = command.operands ?? {};
    if (min > 0) await expect(run(program, words)).rejects.toThrow(RsError);
    await expect(run(program, [...words, ...Array<string>(max + 1).fill('x')])).rejects.toThrow(RsError);
    const script = bashCompletion(program.program, '/etc/x', [command]);
    for (const word of [...words, ...Object.keys(command.options).map((name) => `--${name}`)]) expect(script).toContain(word);
  });
});
