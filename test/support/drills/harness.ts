// The one frame of all drills and measurements: a drill is a value with a text, needs, options and a play. The harness derives the help, checks
// options and needs, names the seed, ends at signals, cleans, and prints the report. Invariants: the exit code is 0 if and only if no problem was
// found and at least one round was played; 2: the command line is wrong. No process, mount or namespace is left behind.

import { randomInt } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { loadavg } from 'node:os';
import { toRsError } from '@rsio/base/lib/errors';
import { type Own, runInOwn } from '../programs/own-namespace.ts';
import type { Need } from './needs.ts';
import { type Asked, helpOf, type Options, parseOptions } from './options.ts';
import { Scene } from './scene.ts';

const SEED_MAX = 2 ** 31;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const [FAILED, USAGE] = [1, 2];

interface DrillOf<O extends Options> {
  /** The text of the help. Paragraphs are separated by an empty line. */
  readonly about: string;
  readonly needs: readonly Need[];
  readonly options: O;
  /** What a round is called in the last line. Default: rounds. */
  readonly unit?: string;
  /** The drill runs in a namespace of its own. */
  readonly own?: Own;
  /** Whether a signal ends the drill at once, because it has no rounds or they are long. */
  readonly endsAtOnce?: boolean;
  play(scene: Scene, asked: Asked<O>): Promise<void>;
}

export type Drill = DrillOf<Options>;

/** Name, sentence and module of each drill of a family. */
export type Family = Readonly<Record<string, readonly [what: string, load: () => Promise<{ readonly drill: Drill }>]>>;

/** Where the harness writes, and what sends signals. */
export interface Ports {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly signals: EventEmitter;
}

const OF_PROCESS: Ports = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  signals: process,
};

/** Takes the types of the options from the options. */
export function defineDrill<O extends Options>(one: DrillOf<O>): Drill {
  return one as unknown as Drill;
}

/** Runs the drill that the first word names, with the other words. Without a word, lists the drills. Returns the exit code. */
export async function runFamily(name: string, family: Family, words: readonly string[], ports: Ports = OF_PROCESS): Promise<number> {
  const [first, ...rest] = words;
  const list = Object.entries(family).map(([each, [what]]) => `  ${each.padEnd(17)}${what}\n`);
  const usage = `usage: npm run ${name} -- NAME [OPTION...]\n${list.join('')}NAME --help prints the options.\n`;
  if (first === undefined || first === '--help') {
    ports.out(usage);
    return 0;
  }
  const found = Object.hasOwn(family, first) ? family[first] : undefined;
  if (found === undefined) {
    ports.err(`${name}: Unknown name "${first}": see the list below [E_USAGE]\n${usage}`);
    return USAGE;
  }
  return runDrill(`npm run ${name} -- ${first}`, (await found[1]()).drill, rest, ports);
}

/** Runs a drill. `call`: the command without options, such as `npm run drill -- sites`. Returns the exit code. */
export async function runDrill(call: string, one: Drill, words: readonly string[], ports: Ports = OF_PROCESS): Promise<number> {
  const complain = (text: string): void => ports.err(`${call.split(' ').at(-1)}: ${text}\n`);
  let asked: Asked<Options> | null;
  try {
    asked = parseOptions(one.options, words);
  } catch (thrown) {
    complain(`${toRsError(thrown).message} (see ${call} --help) [E_USAGE]`);
    return USAGE;
  }
  if (asked === null) {
    const needs = one.needs.flatMap(({ what }) => what.split(/, | and /));
    ports.out(helpOf(call, one.about, [...new Set(needs)], one.options));
    return 0;
  }
  const missing: string[] = [];
  for (const need of one.needs) missing.push(...[await need.why()].filter((why) => why !== null));
  if (missing.length > 0) {
    complain(`This machine ${missing.join('; ')} [E_SYSTEM]`);
    return FAILED;
  }
  return (one.own === undefined ? null : await runInOwn(one.own)) ?? (await played(call, one, asked, words, ports));
}

async function played(call: string, one: Drill, asked: Asked<Options>, words: readonly string[], ports: Ports): Promise<number> {
  const isSeeded = one.options['seed'] !== undefined;
  const given = asked['seed'];
  const seed = typeof given === 'number' ? given : randomInt(SEED_MAX);
  const { out, err, signals } = ports;
  const scene = new Scene({ seed, isSeeded, isJson: asked['json'] === true, endsAtOnce: one.endsAtOnce === true, out, err });
  const again = isSeeded && typeof given !== 'number' ? ['--seed', String(seed)] : [];
  scene.say(`${[call, ...words, ...again].join(' ')} (load ${loadavg()[0]?.toFixed(1)})`);
  for (const how of SIGNALS) signals.on(how, scene.onSignal);
  try {
    await Promise.race([one.play(scene, asked), scene.cut]);
  } catch (error) {
    scene.failed(error);
  }
  await scene.finish();
  for (const how of SIGNALS) signals.off(how, scene.onSignal);
  if (scene.rounds === 0 && scene.problems === 0) scene.problem('Nothing was done');
  scene.say(`${scene.rounds} ${one.unit ?? 'rounds'}, ${scene.problems} problems${isSeeded ? `, seed ${seed}` : ''}`);
  return scene.problems === 0 ? 0 : FAILED;
}
