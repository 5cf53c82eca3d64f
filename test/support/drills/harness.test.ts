// Tests the frame of the drills: help, options, needs, seed, problems, signals, cleaning and the exit code.

import { EventEmitter } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { defineDrill, type Drill, type Family, runDrill, runFamily } from './harness.ts';
import { program } from './needs.ts';
import { amount, choice, choices, count, flag, json, optional, part, repeated, seed, size, sizes, text } from './options.ts';
import type { Scene } from './scene.ts';

const CALL = 'npm run drill -- sample';
const OPTIONS = {
  rounds: count(2, 'how many rounds', { max: 9 }),
  takeOver: amount(5, 'time of a take-over', { value: 'SECONDS', max: 60 }),
  size: size('10g', 'size of the volume'),
  only: optional(choice('EVENT', ['kill', 'freeze'], 'only this event', 'kill')),
  verbose: flag('print every order'),
  seed: seed(),
  json: json(),
};

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** `asked`: gets the values of the options. */
function sample(play: (scene: Scene, asked: object) => Promise<void>, more: Partial<Drill> = {}): Drill {
  return { ...defineDrill({ about: 'Plays a sample.\n\n  It has a second\n  paragraph.', needs: [], options: OPTIONS, play }), ...more };
}

async function run(drill: Drill, words: readonly string[] = [], signals = new EventEmitter()): Promise<Ended> {
  const texts = { out: '', err: '' };
  const ports = { out: (more: string) => void (texts.out += more), err: (more: string) => void (texts.err += more), signals };
  return { code: await runDrill(CALL, drill, words, ports), ...texts };
}

function playsRounds(scene: Scene): Promise<void> {
  scene.round('round 1');
  return Promise.resolve();
}

const untouched = sample(() => Promise.reject(new Error('Must not be played')));

test('the help has usage, text, needs, options and defaults', async () => {
  const needs = [program('no-such-program', 'no-such-package'), program('sh', 'dash')];
  const { code, out, err } = await run({ ...untouched, needs }, ['--rounds', '3', '--help']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toBe(`usage: npm run drill -- sample [--rounds N] [--take-over SECONDS] [--size SIZE] [--only EVENT] [--verbose]
         [--seed S] [--json]

Plays a sample.

It has a second paragraph.

Needs no-such-package, dash.

  --rounds N            how many rounds (default 2)
  --take-over SECONDS   time of a take-over (default 5)
  --size SIZE           size of the volume (default 10g)
  --only EVENT          only this event: kill, freeze
  --verbose             print every order
  --seed S              make the same choices again; what processes do meanwhile is never the same (default: a
                        new one)
  --json                print the figures of all runs as JSON; everything else goes to stderr
  --help                print this help and exit
`);
});

test.each([
  [['--round', '3'], 'Wrong option "--round": allowed is --rounds, --take-over, --size, --only, --verbose, --seed, --json, --help'],
  [['-x'], 'Wrong option "-x": allowed is --rounds, '],
  [['stray'], 'Wrong argument "stray": allowed is --rounds, '],
  [['--rounds', 'x'], 'Wrong --rounds "x": allowed is a whole number from 1 to 9'],
  [['--rounds', '0'], 'Wrong --rounds "0": allowed is a whole number from 1 to 9'],
  [['--rounds=10'], 'Wrong --rounds "10": allowed is a whole number from 1 to 9'],
  [['--rounds', '1.5'], 'Wrong --rounds "1.5": allowed is a whole number from 1 to 9'],
  [['--rounds'], 'Wrong --rounds "": allowed is N after it'],
  [['--rounds', '--json'], 'Wrong --rounds "--json": allowed is N after it'],
  [['--take-over', '0'], 'Wrong --take-over "0": allowed is a number above 0 and at most 60'],
  [['--size', '0'], 'Wrong --size "0": allowed is a whole number of bytes, or '],
  [['--only', 'move'], 'Wrong --only "move": allowed is kill, freeze'],
  [['--seed', '-1'], 'Wrong --seed "-1": allowed is a whole number from 0 to 4294967295'],
  [['--verbose=yes'], 'Wrong --verbose "yes": allowed is the option without a value'],
])('%j is refused', async (words, sentence) => {
  const { code, out, err } = await run(untouched, words);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain(`sample: ${sentence}`);
  expect(err).toMatch(/ \(see npm run drill -- sample --help\) \[E_USAGE\]\n$/);
});

test('the values of the options', async () => {
  const seen: object[] = [];
  const keeping = sample((scene, asked) => {
    seen.push(asked);
    return playsRounds(scene);
  });
  await run(keeping);
  await run(keeping, ['--rounds', '9', '--take-over=0.5', '--size', '64k', '--only', 'freeze', '--verbose', '--seed', '7']);
  expect(seen).toEqual([
    { rounds: 2, takeOver: 5, size: 10 * 1024 ** 3, only: null, verbose: false, seed: null, json: false },
    { rounds: 9, takeOver: 0.5, size: 65_536, only: 'freeze', verbose: true, seed: 7, json: false },
  ]);
});

test('options with several values', async () => {
  const options = {
    blocks: sizes('8k,1m', 'blocks'),
    none: sizes('8k', 'blocks', true),
    some: choices('DRILL', ['a', 'b', 'c'], 'some'),
    like: part(['kill', 'kill all', 'freeze'], 'those with TEXT'),
    each: repeated('NAME', ['x', 'y'], 'each'),
    folder: text('FOLDER', '/tmp', 'where'),
  };
  const seen: object[] = [];
  const drill = sample((scene, asked) => (seen.push(asked), playsRounds(scene)), { options });
  await run(drill);
  await run(drill, ['--none', '', '--some', 'c,a', '--like', 'kill', '--each', 'y', '--each', 'x', '--folder=--odd']);
  expect(seen).toEqual([
    { blocks: [8192, 1 << 20], none: [8192], some: ['a', 'b', 'c'], like: ['kill', 'kill all', 'freeze'], each: [], folder: '/tmp' },
    { blocks: [8192, 1 << 20], none: [], some: ['c', 'a'], like: ['kill', 'kill all'], each: ['y', 'x'], folder: '--odd' },
  ]);
  for (const words of [
    ['--blocks', ''],
    ['--some', 'a,d'],
    ['--like', 'move'],
    ['--each', 'z'],
    ['--folder', ''],
  ])
    expect((await run(drill, words)).err).toContain(`Wrong ${words[0]} "${words[1]}": allowed is `);
});

test('nothing begins without the needs, and all missing ones are named', async () => {
  const needs = [program('no-such-program', 'one-package'), program('sh', 'dash'), program('no-such-either', 'other-package')];
  expect(await run({ ...untouched, needs })).toEqual({
    code: 1,
    out: '',
    err: 'sample: This machine needs no-such-program: install one-package; needs no-such-either: install other-package [E_SYSTEM]\n',
  });
});

test('a need of some options is an error of the play', async () => {
  const { code, err } = await run(sample((scene) => scene.need(program('no-such-program', 'one-package'))));
  expect(code).toBe(1);
  expect(err).toContain('This machine needs no-such-program: install one-package');
});

test('a good run ends with 0, and its first line repeats it', async () => {
  const report = sample((scene) => {
    scene.atEnd(() => ['the report']);
    return playsRounds(scene);
  });
  const { code, out, err } = await run(report, ['--rounds', '1']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const [, own] = /--seed (\d+) \(load/.exec(out) ?? [];
  expect(out).toMatch(/^npm run drill -- sample --rounds 1 --seed \d+ \(load [\d.]+\)\nthe report\n1 rounds, 0 problems, seed \d+\n$/);
  const again = await run(report, ['--seed', own ?? '']);
  expect(again.out).toContain(`npm run drill -- sample --seed ${own} (load`);
  expect(again.out).toContain(`1 rounds, 0 problems, seed ${own}\n`);
});

test('the same seed makes the same choices', async () => {
  const chosen: number[] = [];
  const choosing = sample((scene) => {
    chosen.push(scene.random.int(1, 1_000_000));
    return playsRounds(scene);
  });
  for (const own of ['5', '5', '6']) await run(choosing, ['--seed', own]);
  expect(chosen[0]).toBe(chosen[1]);
  expect(chosen[0]).not.toBe(chosen[2]);
});

test('a run in which nothing was done is not good', async () => {
  const { code, out, err } = await run(sample(() => Promise.resolve()));
  expect(code).toBe(1);
  expect(err).toMatch(/^PROBLEM seed \d+, beginning: Nothing was done\n$/);
  expect(out).toContain('0 rounds, 1 problems, seed');
});

test('after an error, seed, place, cause, logs and report are printed, and everything is cleaned', async () => {
  const places: string[] = [];
  const failing = sample((scene) => {
    places.push(scene.hosts.host().root);
    scene.hosts.onClean(() => places.push('cleaned'));
    scene.atEnd(() => ['the report']);
    scene.withLogs(() => 'the logs\n');
    scene.round('round 1, kill');
    return Promise.reject(new Error('It broke', { cause: new Error('The reason') }));
  });
  const { code, out, err } = await run(failing, ['--seed', '4']);
  expect(code).toBe(1);
  expect(err).toMatch(/^PROBLEM seed 4, round 1, kill: Error: It broke\n {4}at [^]*\ncaused by Error: The reason\n[^]*\nthe logs\n$/);
  expect(out).toMatch(/\nthe report\n1 rounds, 1 problems, seed 4\n$/);
  expect(places[1]).toBe('cleaned');
  expect(existsSync(places[0] ?? '')).toBe(false);
});

test('an error of cleaning, of the report or of the logs hides nothing', async () => {
  const { code, out, err } = await run(
    sample((scene) => {
      scene.hosts.onClean(() => Promise.reject(new Error('Stays mounted')));
      scene.atEnd(() => {
        throw new Error('No tally');
      });
      scene.withLogs(() => {
        throw new Error('No such file');
      });
      return playsRounds(scene);
    }),
  );
  expect(code).toBe(1);
  for (const sentence of ['Stays mounted', 'No tally', 'No logs: No such file']) expect(err).toContain(sentence);
  expect(out).toContain('1 rounds, 2 problems');
});

test('an attempt has machines of its own, and its error is a problem after which the drill goes on', async () => {
  const roots: string[] = [];
  const { code, out, err } = await run(
    sample(async (scene) => {
      for (const round of [1, 2, 3]) {
        scene.round(`round ${round}`);
        const result = await scene.attempt((hosts) => {
          roots.push(hosts.host().root);
          scene.withLogs(() => `logs of ${round}\n`);
          return round === 2 ? Promise.reject(new Error('It broke')) : Promise.resolve(round);
        });
        expect(result).toBe(round === 2 ? null : round);
        expect(existsSync(roots.at(-1) ?? '')).toBe(false);
      }
      scene.problem('At the end');
    }),
  );
  expect(code).toBe(1);
  expect(err).toMatch(/^PROBLEM seed \d+, round 2: Error: It broke\n[^]*\nlogs of 2\nPROBLEM seed \d+, round 3: At the end\n$/);
  expect(out).toContain('3 rounds, 2 problems');
});

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'])('%s ends a drill after its round', async (how) => {
  const signals = new EventEmitter();
  const endless = sample(async (scene) => {
    while (!scene.isEnding) {
      scene.round(`round ${scene.rounds + 1}`);
      await sleep(1);
      if (scene.rounds === 3) signals.emit(how, how);
    }
  });
  const { code, out } = await run(endless, [], signals);
  expect(code).toBe(0);
  expect(out).toContain('3 rounds, 0 problems');
  expect(signals.listenerCount(how)).toBe(0);
});

test('a signal cuts a drill that has no rounds, and everything is cleaned', async () => {
  const signals = new EventEmitter();
  let cleaned = 0;
  const endless = sample(
    (scene) => {
      scene.hosts.onClean(() => cleaned++);
      scene.round('step');
      signals.emit('SIGTERM', 'SIGTERM');
      return new Promise(() => undefined);
    },
    { endsAtOnce: true },
  );
  const { code, err } = await run(endless, [], signals);
  expect({ code, cleaned }).toEqual({ code: 1, cleaned: 1 });
  expect(err).toContain('step: Error: Ended by SIGTERM');
});

test('a drill that only waits for a signal ends well', async () => {
  const signals = new EventEmitter();
  const staying = sample(
    async (scene) => {
      await playsRounds(scene);
      const ended = scene.untilSignal();
      signals.emit('SIGINT', 'SIGINT');
      await ended;
    },
    { endsAtOnce: true },
  );
  expect(await run(staying, [], signals)).toMatchObject({ code: 0, err: '' });
});

test('with --json, only figures are on stdout', async () => {
  const measuring = sample((scene) => {
    scene.say('progress');
    scene.show({ figure: 1 }, () => 'a table\n');
    return playsRounds(scene);
  });
  expect((await run(measuring)).out).toContain('progress\na table\n');
  const { out, err } = await run(measuring, ['--json']);
  expect(JSON.parse(out)).toEqual({ figure: 1 });
  expect(err).toContain('progress\n1 rounds, 0 problems');
});

test('a family lists its drills, and refuses other names', async () => {
  const family: Family = { sample: ['plays a sample', () => Promise.resolve({ drill: sample(playsRounds) })] };
  const texts = { out: '', err: '' };
  const ports = {
    out: (more: string) => void (texts.out += more),
    err: (more: string) => void (texts.err += more),
    signals: new EventEmitter(),
  };
  expect(await runFamily('drill', family, [], ports)).toBe(0);
  expect(texts).toEqual({ out: expect.stringContaining('\n  sample           plays a sample\n') as string, err: '' });
  expect(await runFamily('drill', family, ['constructor'], ports)).toBe(2);
  expect(texts.err).toMatch(/^drill: Unknown name "constructor": see the list below \[E_USAGE\]\nusage: npm run drill -- NAME/);
  expect(await runFamily('drill', family, ['sample', '--rounds', '1'], ports)).toBe(0);
  expect(texts.out).toContain('1 rounds, 0 problems');
});
