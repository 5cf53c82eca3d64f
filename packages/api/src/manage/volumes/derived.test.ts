// Tests that run over all entries of the table with a command, for rsadm and for rsconfig: the example of the entry reaches the method with
// parameters that it takes, the text and the JSON are printed, and bash completes the words. Thus a new entry needs no test of its own for
// this. Each method that a client may call has a command, or is known as one that only programs call.

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
import { derivedCommand } from './derived.ts';
import type { VolumeDoor, VolumeProgram, VolumeTarget } from './door.ts';
import { sharedCommand, volumeCommands } from './shared.ts';

const completes = { completesVolumes: 'echo oracle', completesRemoved: 'echo old' };
const PROGRAMS: readonly VolumeProgram[] = [
  { program: 'rsadm', place: {}, jobs: 'jobs', ...completes },
  { program: 'rsconfig', place: { namespace: text(), server: text() }, jobs: 'volume jobs', ...completes },
];
const METHODS = Object.keys(SERVER_METHODS) as ServerMethodName[];
const ENTRIES = METHODS.filter((method) => entryOf(method).command !== null);
const CASES = PROGRAMS.flatMap((program) => ENTRIES.map((method) => [program.program, method, program] as const));
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
    newId: () => REQUEST,
    out: (more) => (out += more),
    note: (sentence) => notes.push(sentence),
    local: null,
    find,
    findRemoved: find,
    choose: async (name) => [await find(name)],
  };
  const commands = volumeCommands(given, (command) => command, {});
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

function exampleOf({ jobs }: VolumeProgram, method: ServerMethodName): readonly string[] {
  return (entryOf(method).command?.example ?? '').replace(/^jobs/, jobs).split(' ');
}

test('there are commands that follow from entries', () => {
  expect(ENTRIES.length).toBeGreaterThan(12);
});

describe.each(CASES)('%s, %s', (_, method, program) => {
  test('the example sends a request that the method takes', async () => {
    const { asked, out, notes } = await run(program, exampleOf(program, method));
    expect(asked.map(([called]) => called)).toEqual([method]);
    const params = asked[0]![1];
    const { params: taken, repeats } = entryOf(method);
    expect(() => checkedParams(method, taken, params)).not.toThrow();
    expect(Object.hasOwn(params, 'request')).toBe(repeats === 'journal');
    expect(out.trim().length + notes.join('').length).toBeGreaterThan(0);
    expect(out + notes.join('')).not.toMatch(/undefined|\[object/);
  });

  test('the JSON is the place and the answer, exactly as declared', async () => {
    const { out } = await run(program, [...exampleOf(program, method), '--json']);
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

// Each program has these in its own way.
const OWN = ['volume-list', 'volume-create', 'volume-export', 'volume-import', 'pool-list', 'farm-show'];
/** Parts of commands, and what only programs call. */
const PARTS: readonly string[] = [
  ...['daemon', 'reload', 'readiness', 'message-send', 'message-take'],
  ...['volume-snapshot-remove', 'volume-image-restore', 'volume-drill', 'volume-replicate-end'],
  ...['replica-snapshot', 'replica-snapshot-prove'],
  ...METHODS.filter((method) => entryOf(method).right === 'copy'),
];
/** rsadm alone has commands for these. */
const SERVER_ONLY = /^(pool|client|witness)-/;

test('each method that a client may call has a command, or is known as one that only programs call', () => {
  const open = METHODS.filter((method) => entryOf(method).right !== null && !SERVER_ONLY.test(method));
  const without = open.filter((method) => sharedCommand(PROGRAMS[0]!, method) === null);
  expect(without.toSorted()).toEqual([...OWN.filter((method) => open.includes(method as ServerMethodName)), ...PARTS].toSorted());
});
