// Tests waiting with a fake clock: the polls, the progress line, and every way in which the wait can end. Also tests --wait of each command
// with a scripted daemon. Real daemons are in test/integration/waiting.test.ts.

import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { RsError } from '@rsio/base/lib/errors';
import { WAIT_MS } from '@rsio/common/cli/limits';
import { WAIT_POLL_MS } from '../limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../command-table.ts';
import { shownCall } from '@rsio/common/cli/command';
import { contextOf } from '../testing/context.ts';
import { namespace, rep, server } from '../testing/views.ts';
import { terminalProgress } from '@rsio/common/cli/waiting-ports';
import { waitUntil } from './waiting.ts';

type Daemon = (method: string, params: unknown) => unknown;

class Scene {
  readonly clock = new FakeClock();
  readonly lines: string[] = [];
  handlers = 0;
  stop = (): void => undefined;
  readonly waiting = {
    progress: (line: string): void => void this.lines.push(line),
    onStop: (stop: () => void) => {
      this.handlers += 1;
      this.stop = stop;
      return () => {
        this.handlers -= 1;
      };
    },
  };

  /** Lets promises settle, advances the clock, and lets promises settle again. */
  async pass(durationMs: number): Promise<void> {
    for (let left = durationMs; left >= 0; left -= WAIT_POLL_MS) {
      for (let turn = 0; turn < 30; turn++) await Promise.resolve();
      this.clock.advance(Math.min(left, WAIT_POLL_MS));
    }
    for (let turn = 0; turn < 30; turn++) await Promise.resolve();
  }

  /** Runs a command and records its output. */
  run(call: string, values: Readonly<Record<string, unknown>>, words: readonly string[], daemon: Daemon) {
    const said: string[] = [];
    const asked: string[] = [];
    const context = contextOf({
      clock: this.clock,
      waiting: this.waiting,
      out: (text) => void said.push(text.trimEnd()),
      note: (text) => void said.push(`note: ${text}`),
      report: (code, text) => void said.push(`${code}: ${text}`),
      call: async (method, params) => {
        asked.push(`${method} ${JSON.stringify(params)}`);
        return daemon(method, params);
      },
    });
    const command = COMMANDS.find((one) => shownCall(one.call) === call);
    const ended = command?.run(context, values, words) ?? Promise.reject(new Error(`No command ${call}`));
    return { said, asked, ended };
  }
}

function outcome(volume: string, code: string | null = null, already = false): AttachOutcome {
  const error = code === null ? null : { code, message: `Not now (${code})` };
  return { volume, done: code === null, already, device: null, error };
}

describe('waitUntil', () => {
  test('polls at once and repeatedly, shows the remaining names, and ends when none is left', async () => {
    const scene = new Scene();
    const left = [['a', 'b', 'c'], ['b'], []];
    const waited = waitUntil(scene, 10_000, async () => ({ value: left.length, waitsFor: left.shift() ?? [] }));
    await scene.pass(2 * WAIT_POLL_MS);
    expect(await waited).toEqual({ how: 'done', last: { value: 1, waitsFor: [] } });
    expect(scene.lines).toEqual(['waiting 0 s: a (and 2 more things to wait for)', 'waiting 0 s: b', '']);
    expect([scene.clock.timersPending, scene.handlers]).toEqual([0, 0]);
  });

  test('ends when the time is over, also while a poll hangs', async () => {
    const scene = new Scene();
    const waited = waitUntil(scene, 3_000, () => new Promise<never>(() => undefined));
    await scene.pass(3_000);
    expect(await waited).toEqual({ how: 'late', last: null });
    expect([scene.clock.timersPending, scene.handlers]).toEqual([0, 0]);
  });

  test('ends when the user interrupts it, with the last state', async () => {
    const scene = new Scene();
    const waited = waitUntil(scene, 3_000, async () => ({ value: 1, waitsFor: ['a'] }));
    await scene.pass(0);
    scene.stop();
    expect(await waited).toEqual({ how: 'stopped', last: { value: 1, waitsFor: ['a'] } });
    expect([scene.clock.timersPending, scene.handlers]).toEqual([0, 0]);
  });

  test('an error of a poll ends it', async () => {
    const scene = new Scene();
    const waited = waitUntil(scene, 3_000, () => Promise.reject(new RsError('E_NOT_RUNNING', 'gone')));
    await expect(waited).rejects.toMatchObject({ code: 'E_NOT_RUNNING' });
    expect([scene.clock.timersPending, scene.handlers]).toEqual([0, 0]);
  });
});

test('a progress line replaces the previous one, is cut to the width, and is removed', () => {
  let text = '';
  const show = terminalProgress(
    (bytes) => {
      text += bytes;
    },
    () => 10,
  );
  show('');
  show('waiting 1 s: a');
  show('b');
  show('');
  show('');
  expect(text).toBe('\r\x1b[Kwaiting 1\r\x1b[Kb\r\x1b[K');
});

describe('-a --wait', () => {
  test('asks again only for names that can still appear', async () => {
    const scene = new Scene();
    const answers = [
      [outcome('osl:a@0'), outcome('b', 'E_UNKNOWN_VOLUME'), outcome('osl:c@0', 'E_RIGHTS'), outcome('osl:d@0', 'E_HELD')],
      [outcome('osl:b@0'), outcome('osl:d@0', 'E_HELD')],
      [outcome('osl:d@0')],
    ];
    const { said, asked, ended } = scene.run('-a', { wait: '' }, ['a', 'b', 'c', 'd'], () => ({ outcomes: answers.shift() }));
    await scene.pass(2 * WAIT_POLL_MS);
    expect(await ended).toBe(1);
    expect(asked.map((one) => /"names":(\S+?\])/.exec(one)?.[1])).toEqual(['["a","b","c","d"]', '["b","d"]', '["d"]']);
    expect(said).toEqual([
      'osl:a@0 attached (no device)',
      'osl:b@0 attached (no device)',
      'E_RIGHTS: osl:c@0: Not now (E_RIGHTS)',
      'osl:d@0 attached (no device)',
    ]);
  });

  test('ends after its time, by default a minute, and names what is missing', async () => {
    const scene = new Scene();
    const { said, ended } = scene.run('-a', { wait: '' }, ['b'], (name) =>
      name === 'query' ? { namespaces: [] } : { outcomes: [outcome('b', 'E_NO_PATH')] },
    );
    await scene.pass(WAIT_MS);
    expect(await ended).toBe(1);
    expect(said).toEqual([
      'note: Timed out after 60 s: what was attached stays attached, rsconfig -l shows it; --wait=T waits longer, rsconfig -m status -v shows what is missing',
      'E_NO_PATH: b: Not now (E_NO_PATH)',
    ]);
  });

  test('without names waits for every server, and keeps the volumes attached so far', async () => {
    const scene = new Scene();
    let looks = 0;
    const { said, ended } = scene.run('-a', { wait: '30s', json: true }, [], (method) => {
      if (method === 'attach')
        return { outcomes: looks === 1 ? [outcome('osl:a@0')] : [outcome('osl:a@0', null, true), outcome('lab:b@0')] };
      looks += 1;
      return { namespaces: [namespace({ servers: [server(), server({ name: 'big-6', state: looks < 2 ? 'down' : 'connected' })] })] };
    });
    await scene.pass(2 * WAIT_POLL_MS);
    expect(await ended).toBe(0);
    expect(scene.lines[0]).toBe('waiting 0 s: server big-6 of osl is down');
    expect((JSON.parse(said[0] ?? '') as { outcomes: unknown }).outcomes).toEqual([outcome('osl:a@0'), outcome('lab:b@0')]);
  });

  test('a server that does not answer is exit code 1, even if every offered volume was attached', async () => {
    const scene = new Scene();
    const { ended } = scene.run('-a', { wait: '2s' }, [], (method) =>
      method === 'attach' ? { outcomes: [outcome('osl:a@0')] } : { namespaces: [namespace({ servers: [server({ state: 'down' })] })] },
    );
    await scene.pass(2_000);
    expect(await ended).toBe(1);
  });

  test('Ctrl-C while rsiod works says that rsiod continues', async () => {
    const scene = new Scene();
    const { ended } = scene.run('-a', { wait: '' }, ['a'], () => new Promise(() => undefined));
    const caught = ended.catch((thrown: unknown) => thrown);
    await scene.pass(0);
    scene.stop();
    expect(String(await caught)).toContain('rsiod is still working on it: Interrupted: what was attached stays attached');
  });

  test.each(['0s', 'soon', '8d', '-1', '1000h'])('--wait=%s is wrong usage', async (wait) => {
    const error = await Promise.resolve()
      .then(() => new Scene().run('-a', { wait }, ['a'], () => ({ outcomes: [] })).ended)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'E_USAGE' });
  });
});

test('-d --wait waits for users and I/O, but not for a permanent refusal', async () => {
  const scene = new Scene();
  const answers = [
    [outcome('osl:a@0', 'E_IN_USE'), outcome('b', 'E_UNKNOWN_VOLUME')],
    [outcome('osl:a@0', 'E_TIMEOUT')],
    [outcome('osl:a@0')],
  ];
  const { said, ended } = scene.run('-d', { wait: '' }, ['a', 'b'], () => ({ outcomes: answers.shift() }));
  await scene.pass(3 * WAIT_POLL_MS);
  expect(await ended).toBe(1);
  expect(said).toEqual(['osl:a@0 detached', 'E_UNKNOWN_VOLUME: b: Not now (E_UNKNOWN_VOLUME)']);
});

describe.each([
  ['-m status', 'status'],
  ['reload', 'reload'],
])('%s --wait', (call, method) => {
  const view = (state: 'up' | 'down') => ({
    interfaces: [{ position: 0, name: 'if0', address: '192.168.10.1', port: 5000, reps: [rep(), rep({ address: '192.168.10.8', state })] }],
    waiting: [],
    logs: [],
    mirrors: [],
  });

  test('ends successfully when every path is up', async () => {
    const scene = new Scene();
    let looks = 0;
    const { asked, ended } = scene.run(call, { wait: '' }, [], (name) =>
      name === 'reload' ? { applied: ['x'] } : view((looks += 1) < 3 ? 'down' : 'up'),
    );
    await scene.pass(3 * WAIT_POLL_MS);
    expect(await ended).toBe(0);
    expect(asked.filter((one) => one.startsWith(method)).length).toBeGreaterThan(0);
    expect(scene.lines[0]).toBe('waiting 0 s: path if0 -> 192.168.10.8/5000 is down');
  });

  test('a path that does not come up is named, exit code 1', async () => {
    const scene = new Scene();
    const { said, ended } = scene.run(call, { wait: '5s' }, [], (name) => (name === 'reload' ? { applied: [] } : view('down')));
    await scene.pass(5_000);
    expect(await ended).toBe(1);
    expect(said).toContain('note: path if0 -> 192.168.10.8/5000 is down');
    expect(said.join()).toContain('Timed out after 5 s: rsiod keeps trying');
  });
});
