// Tests what is reported about a child process with Node's channel: its messages, how it has exited, and that it could not be started. The
// children are real programs.

import { type ChildProcess, spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { killChild } from './kill-child.ts';
import { sendToChild, watchChild } from './watched-child.ts';

const OUTPUT_MAX_CHARS = 20;

interface Watched {
  readonly child: ChildProcess;
  readonly messages: unknown[];
  readonly exits: string[];
  readonly over: Promise<void>;
}

function watched(program: string, script: string): Watched {
  const child = spawn(program, ['-e', script], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  const [messages, exits]: [unknown[], string[]] = [[], []];
  const over = new Promise<void>((resolve) => {
    watchChild(child, OUTPUT_MAX_CHARS, {
      message: (value) => void messages.push(value),
      exited: (how) => {
        exits.push(how);
        resolve();
      },
    });
  });
  return { child, messages, exits, over };
}

test('the messages of a child, and its exit code with the end of its output', async () => {
  const script = `process.once('message', (text) => { process.send(text + '!'); console.error('x'.repeat(50) + 'the reason'); process.exit(3); })`;
  const { child, messages, exits, over } = watched(process.execPath, script);
  sendToChild(child, 'hello');
  await over;
  expect([messages, exits]).toEqual([['hello!'], ['exit code 3: xxxxxxxxxthe reason']]);
  sendToChild(child, 'late');
});

test('the signal that has ended a child; an error of a child that runs is no exit', async () => {
  const { child, exits, over } = watched(process.execPath, 'setInterval(() => undefined, 1000)');
  child.emit('error', new Error('a message was not sent'));
  expect(exits).toEqual([]);
  killChild(child);
  await over;
  expect(exits).toEqual(['signal SIGKILL']);
});

test('a program that cannot be started is reported once', async () => {
  const { exits, over } = watched('/nonexistent/program', '');
  await over;
  await new Promise((resolve) => void setTimeout(resolve, 50));
  expect(exits).toEqual([expect.stringContaining('ENOENT')]);
});
