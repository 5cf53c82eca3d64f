// Watches a child process with Node's channel: its messages, the end of its output, and its exit. Invariants: a message to a process that has
// exited is dropped; the exit is reported once, after the last message. A process that runs is not reported as exited when a signal or a
// message to it fails. kill-child.ts ends a child.

import type { ChildProcess, Serializable } from 'node:child_process';

export interface ChildEvents {
  message(value: unknown): void;
  /** `how`: such as `exit code 1`, with the last output of the process. */
  exited(how: string): void;
}

/** `outputMaxChars`: the last characters of its output that are kept. */
export function watchChild(child: ChildProcess, outputMaxChars: number, events: ChildEvents): void {
  let output = '';
  let hasExited = false;
  const exited = (how: string): void => {
    if (hasExited) return;
    hasExited = true;
    const last = output.trim();
    events.exited(last === '' ? how : `${how}: ${last}`);
  };
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-outputMaxChars)));
  child.on('message', (message) => void (hasExited || events.message(message)));
  child.on('error', (error) => {
    // Without an id, the process could not be started.
    if (child.pid === undefined) exited(error.message);
  });
  child.on('close', (code, signal) => exited(signal === null ? `exit code ${code}` : `signal ${signal}`));
}

export function sendToChild(child: ChildProcess, message: Serializable): void {
  if (child.connected) child.send(message, () => undefined);
}
